import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../src/errors.ts';
import {
  beginMove,
  canCancel,
  decideMove,
  diskMoveRecord,
  moveAfter,
  replayMove,
  wordFor,
  type DiskMoveEvent,
  type MoveSight,
  diskMovePlan,
} from '../../src/migration/disk-move.ts';
import { MAX_ATTEMPTS } from '../../src/migration/engine/rows.ts';

const plan = diskMovePlan.parse({
  id: 'd-0123456789ab',
  request: { guest: 'db1', disk: 'disk0', to: '/srv/fast/' },
  handle: { driver: 'qemu', name: 'db1', pid: 7, startTicks: 1, monitor: '/run/q' },
  createdAt: '2026-11-20T20:00:00.000Z',
  from: '/srv/slow/disk0.raw',
  identity: '1:2',
  to: '/srv/fast/disk0.raw',
  directories: [],
  work: {},
});
const facts = { guest: 'db1', device: 'disk0', reason: 'it broke' };
const failure = {
  type: 'trouble',
  error: godwitError('GODWIT_DISK_FAILED', facts).toJSON(),
} as const;
const stateAfter = (...events: DiskMoveEvent[]) => events.reduce(moveAfter, beginMove(plan));
const resting: MoveSight = {
  hypervisor: 'lives',
  on: 'old',
  job: 'none',
  open: false,
  nearly: false,
  isWriteBlocking: false,
};
const sight = (change: Partial<MoveSight> = {}): MoveSight => ({ ...resting, ...change });

const arbitrarySight: fc.Arbitrary<MoveSight> = fc.record({
  hypervisor: fc.constantFrom('lives', 'gone'),
  on: fc.constantFrom('old', 'new', 'neither'),
  job: fc.constantFrom('none', 'copying', 'ready', 'ending', 'pending', 'ended', 'failed'),
  open: fc.boolean(),
  nearly: fc.boolean(),
  isWriteBlocking: fc.boolean(),
});
const arbitraryEvents: fc.Arbitrary<DiskMoveEvent[]> = fc.array(
  fc.constantFrom<DiskMoveEvent[]>(
    { type: 'copying' },
    { type: 'cancel' },
    { type: 'switching' },
    { type: 'switched' },
    failure,
  ),
  { maxLength: 8 },
);

describe('decisions of a disk move', () => {
  test('a disk move copies, mirrors, records the switch, switches and cleans up', () => {
    const began = stateAfter({ type: 'copying' });
    const switching = moveAfter(began, { type: 'switching' });
    assert.equal(decideMove(stateAfter(), sight()), 'begin');
    assert.equal(decideMove(began, sight({ job: 'copying', open: true })), 'wait');
    assert.equal(decideMove(began, sight({ job: 'ready', open: true })), 'write-blocking');
    assert.equal(
      decideMove(began, sight({ job: 'ready', open: true, isWriteBlocking: true })),
      'complete',
    );
    assert.equal(decideMove(began, sight({ job: 'pending', open: true })), 'switch');
    assert.equal(decideMove(switching, sight({ job: 'pending', open: true })), 'finalize');
    assert.equal(decideMove(switching, sight({ on: 'new', job: 'ended', open: true })), 'settle');
  });

  test('a disk move asks the hypervisor for the image in use, and the journal only if it is gone', () => {
    const [old, switching] = [stateAfter({ type: 'copying' }), stateAfter({ type: 'switching' })];
    assert.equal(decideMove(old, sight({ on: 'new' })), 'settle');
    assert.equal(decideMove(old, sight({ hypervisor: 'gone' })), 'discard');
    assert.equal(decideMove(switching, sight({ hypervisor: 'gone' })), 'settle');
    assert.equal(decideMove(switching, sight({ on: 'old', job: 'failed' })), 'fail');
    assert.equal(
      decideMove(moveAfter(switching, failure), sight({ hypervisor: 'gone' })),
      'discard',
    );
  });

  test('a disk move never removes the new image while the guest may use it', () => {
    fc.assert(
      fc.property(arbitraryEvents, arbitrarySight, (events, seen) => {
        const state = stateAfter(...events);
        const deed = decideMove(state, seen);
        if (deed !== 'discard' && deed !== 'drop') return;
        if (seen.hypervisor === 'lives') assert.equal(seen.on, 'old');
        assert.ok(canCancel(state));
        // What the hypervisor has open is closed first.
        if (deed === 'discard' && seen.hypervisor === 'lives') {
          assert.deepEqual([seen.job, seen.open], ['none', false]);
        }
      }),
    );
  });

  test('a disk move drops the old image only if the guest uses the new one or its switch was recorded', () => {
    fc.assert(
      fc.property(arbitraryEvents, arbitrarySight, (events, seen) => {
        const state = stateAfter(...events);
        if (decideMove(state, seen) !== 'settle') return;
        assert.ok(seen.hypervisor === 'lives' ? seen.on === 'new' : !canCancel(state));
      }),
    );
  });

  test('a disk move orders the switch only after recording it', () => {
    fc.assert(
      fc.property(arbitraryEvents, arbitrarySight, (events, seen) => {
        const state = stateAfter(...events);
        if (decideMove(state, seen) === 'finalize') assert.ok(!canCancel(state));
      }),
    );
  });

  test('a disk move does nothing once it has ended, and leaves changes by others alone', () => {
    const figures = { copiedBytes: 1, totalBytes: 1, elapsedMs: 1 };
    const done = stateAfter({ type: 'ended', outcome: 'done', ...figures });
    assert.equal(decideMove(done, sight()), 'nothing');
    assert.equal(decideMove(stateAfter(), sight({ on: 'neither' })), 'leave');
  });

  test('a disk move restarts lost work, but not forever', () => {
    const times = Array.from({ length: MAX_ATTEMPTS }, () => ({ type: 'copying' }) as const);
    assert.equal(decideMove(stateAfter(...times.slice(1)), sight()), 'begin');
    assert.equal(decideMove(stateAfter(...times), sight()), 'fail');
  });

  test('a copy that begins again withdraws the record of a switch that could not be synced', () => {
    const again = stateAfter({ type: 'copying' }, { type: 'switching' }, { type: 'copying' });
    assert.equal(decideMove(again, sight({ hypervisor: 'gone' })), 'discard');
    assert.equal(decideMove(again, sight({ job: 'copying', open: true })), 'wait');
  });

  test('a disk move makes writes wait for both images once, near the end of a copy that may not catch up', () => {
    const began = stateAfter({ type: 'copying' });
    const nearly = { job: 'copying', open: true, nearly: true } as const;
    assert.equal(decideMove(began, sight(nearly)), 'write-blocking');
    assert.equal(decideMove(began, sight({ ...nearly, isWriteBlocking: true })), 'wait');
  });

  test('a canceled disk move drops its job, and then the image', () => {
    const asked = stateAfter({ type: 'copying' }, { type: 'cancel' });
    assert.equal(decideMove(asked, sight({ job: 'pending', open: true })), 'drop');
    assert.equal(decideMove(asked, sight({ open: true })), 'drop');
    assert.equal(decideMove(asked, sight()), 'discard');
    const late = stateAfter({ type: 'switching' }, { type: 'cancel' });
    assert.equal(late.cancelAsked, false);
  });
});

describe('the journal of a disk move', () => {
  test('the journal of a disk move reports again the state that was reported', () => {
    fc.assert(
      fc.property(arbitraryEvents, (events) => {
        const lines = [{ type: 'begun', plan } as const, ...events].map((event, seq) =>
          JSON.stringify({ v: 1, seq, at: 1, mono: 1, event }),
        );
        const read = lines.map((line) => diskMoveRecord.parse(JSON.parse(line)).event);
        assert.deepEqual(replayMove(read), stateAfter(...events));
      }),
    );
    assert.equal(replayMove([]), undefined);
    assert.equal(replayMove([{ type: 'copying' }]), undefined);
  });

  test('the journal of a disk move has a word for each state', () => {
    assert.equal(wordFor(stateAfter()), 'planned');
    assert.equal(wordFor(stateAfter({ type: 'copying' })), 'copying');
    assert.equal(wordFor(stateAfter({ type: 'copying' }, { type: 'cancel' })), 'undoing');
    assert.equal(wordFor(stateAfter({ type: 'switching' })), 'switching');
    assert.equal(wordFor(stateAfter({ type: 'switched' })), 'tidying');
  });
});
