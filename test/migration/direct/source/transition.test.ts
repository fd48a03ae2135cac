import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ERRORS, godwitError } from '../../../../src/errors.ts';
import { STEP_NAMES, isBeforeNoReturn } from '../../../../src/migration/direct/source/steps.ts';
import { canCancel } from '../../../../src/migration/direct/source/transition.ts';
import { MAX_ATTEMPTS } from '../../../../src/migration/engine/rows.ts';
import { streamMode } from '../../../../src/protocol/public/migration.ts';
import { driveUntil, settle } from '../drive.ts';
import {
  askedFor,
  assertHandedOver,
  assertSourceRuns,
  exitCodeOf,
  isDoing,
  isOfDisks,
} from '../endings.ts';
import { errorOf, planned } from '../samples.ts';
import { World } from '../world.ts';
import { unreachable } from '../world-errors.ts';

const modes = streamMode.options;

describe('a migration without faults', () => {
  for (const one of modes) {
    test(`a migration without faults ends with the guest at the destination: ${one}`, () => {
      const world = new World(planned({ mode: one }));
      settle(world);
      assertHandedOver(world);
      assert.equal(exitCodeOf(world.state), 0);
    });
  }

  test('post-copy drains the memory that pre-copy has sent before', () => {
    const ways = modes.map((one) => {
      const world = new World(planned({ mode: one }));
      settle(world);
      return world.state.via;
    });
    assert.deepEqual(ways, ['precopy', 'postcopy', 'postcopy']);
  });
});

describe('a failure before the point of no return', () => {
  const before = STEP_NAMES.filter(isBeforeNoReturn);
  for (const one of modes) {
    for (const step of before) {
      for (const when of ['before', 'after'] as const) {
        test(`an early failure leaves the guest running at the source: ${one}, ${step} fails ${when} its effect`, () => {
          const world = new World(planned({ mode: one, ...askedFor(step) }), isOfDisks(step));
          driveUntil(world, isDoing(step));
          const isTriedAgain = step === 'switchover' && world.state.via === 'postcopy';
          for (let count = 0; count < (isTriedAgain ? MAX_ATTEMPTS : 1); count += 1) {
            world.answer(when, errorOf());
          }
          settle(world);
          assert.equal(world.outcome, 'failed');
          assert.deepEqual(world.state.because, errorOf());
          assert.equal(exitCodeOf(world.state), ERRORS.GODWIT_STEP_FAILED.exit);
          assertSourceRuns(world);
        });
      }
    }
  }

  test('a lost answer to the switch to post-copy loses nothing: the switch is tried again', () => {
    for (const when of ['before', 'after'] as const) {
      const world = new World(planned({ mode: 'postcopy' }));
      driveUntil(world, isDoing('switchover'));
      world.answer(when, errorOf());
      settle(world);
      assertHandedOver(world);
    }
  });

  test('an early failure undoes each undoable step once, from the failed step back to the first', () => {
    for (const copies of [true, false]) {
      const world = new World(planned(), copies);
      driveUntil(world, isDoing('memory'));
      world.answer('before', errorOf());
      settle(world);
      const undone = world.journal.flatMap((event) => (event.type === 'undid' ? [event.step] : []));
      const disks = copies ? ['unplug', 'mirror'] : [];
      assert.deepEqual(undone, ['memory', ...disks, 'arm', 'configure', 'admit']);
    }
  });

  test("an early failure returns the balloon's memory once the stream is taken back", () => {
    for (const step of ['balloon', 'memory', 'switchover'] as const) {
      const world = new World(planned({ balloon: 'available' }));
      driveUntil(world, isDoing(step));
      assert.equal(world.ballooned, step !== 'balloon');
      world.answer('after', errorOf());
      settle(world);
      assertSourceRuns(world);
      const undone = world.journal.flatMap((event) => (event.type === 'undid' ? [event.step] : []));
      assert.equal(undone.filter((each) => each === 'balloon').length, 1);
      assert.ok(step === 'balloon' || undone.indexOf('memory') < undone.indexOf('balloon'));
    }
  });

  test("an early failure tries three times to return the balloon's memory", () => {
    for (const failures of [1, MAX_ATTEMPTS - 1, MAX_ATTEMPTS]) {
      const world = new World(planned({ balloon: 'available' }));
      driveUntil(world, isDoing('memory'));
      world.answer('after', errorOf());
      const isGivingBack = ({ state: { doing } }: World): boolean =>
        doing.kind === 'undo' && doing.step === 'balloon';
      driveUntil(world, isGivingBack);
      for (let count = 0; count < failures; count += 1)
        world.answer('before', errorOf('no answer'));
      settle(world);
      if (failures < MAX_ATTEMPTS) assertSourceRuns(world);
      assert.deepEqual([world.run, world.outcome], ['running', 'failed']);
      assert.equal(world.ballooned, failures === MAX_ATTEMPTS);
      assert.equal(world.state.leftovers.length, failures === MAX_ATTEMPTS ? 1 : 0);
    }
  });
});

describe('a cancel', () => {
  for (const step of STEP_NAMES) {
    const taken = isBeforeNoReturn(step);
    test(`a cancel ${taken ? 'rolls back' : 'changes nothing'} during ${step}`, () => {
      const mode = step === 'drain' ? 'postcopy' : 'precopy';
      const world = new World(planned({ mode, ...askedFor(step) }), isOfDisks(step));
      driveUntil(world, isDoing(step));
      assert.equal(canCancel(world.state), taken);
      world.dispatch({ type: 'cancel' });
      settle(world);
      assert.equal(world.outcome, taken ? 'cancelled' : 'done');
      if (taken) assertSourceRuns(world);
      assert.equal(exitCodeOf(world.state), taken ? ERRORS.GODWIT_CANCELLED.exit : 0);
    });
  }

  test('a cancel is refused once the switch to post-copy has begun', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('switchover'));
    assert.equal(canCancel(world.state), false);
    world.dispatch({ type: 'cancel' });
    settle(world);
    assertHandedOver(world);
  });
});

describe('after the point of no return', () => {
  test('a step past the point of no return is tried again, and the migration is done when it works in time', () => {
    for (const step of ['verify', 'retire', 'finish'] as const) {
      const world = new World();
      driveUntil(world, isDoing(step));
      for (let count = 1; count < MAX_ATTEMPTS; count += 1) world.answer('before', errorOf());
      settle(world);
      assertHandedOver(world);
      assert.deepEqual(world.state.leftovers, []);
    }
  });

  test('a failed cleanup is reported, and the migration is done all the same', () => {
    const world = new World();
    driveUntil(world, isDoing('retire'));
    for (let count = 0; count < MAX_ATTEMPTS; count += 1) world.answer('before', errorOf());
    settle(world);
    assert.equal(world.outcome, 'done');
    assert.deepEqual(world.state.leftovers, [errorOf()]);
  });

  test('a commit without an answer is held, never guessed', () => {
    for (const when of ['before', 'after'] as const) {
      const world = new World();
      driveUntil(world, isDoing('commit'));
      world.answer(when);
      settle(world);
      assert.equal(world.outcome, 'held');
      assert.notEqual(world.run, 'running');
      assert.equal(exitCodeOf(world.state), ERRORS.GODWIT_HELD.exit);
    }
  });

  test('a commit to a hypervisor that has ended is a loss after the switch to post-copy', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('commit'));
    const facts = { side: 'destination', guest: 'web1', reason: 'its process has ended' };
    const gone = godwitError('GODWIT_HYPERVISOR_LOST', facts).toJSON();
    for (let count = 0; count < MAX_ATTEMPTS; count += 1) world.answer('before', gone);
    assert.equal(world.outcome, 'lost');
  });

  test('a destination that reports that it is gone ends the switch to post-copy; a silent one does not', () => {
    const facts = { side: 'destination', guest: 'web1', reason: 'its process has ended' };
    const gone = godwitError('GODWIT_HYPERVISOR_LOST', facts).toJSON();
    for (const [error, kind] of [
      [gone, 'undo'],
      [unreachable, 'do'],
    ] as const) {
      const world = new World(planned({ mode: 'postcopy' }));
      driveUntil(world, isDoing('switchover'));
      world.dispatch({ type: 'destination-lost', error });
      assert.deepEqual(world.state.doing, { kind, step: 'switchover' });
    }
  });

  test('memory at a destination that is gone is lost, and no question is left open', () => {
    const facts = { side: 'destination', guest: 'web1', reason: 'its process has ended' };
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('switchover'));
    const error = godwitError('GODWIT_HYPERVISOR_LOST', facts).toJSON();
    world.dispatch({ type: 'destination-lost', error });
    const reason = 'post-copy had begun';
    world.answer('before', godwitError('GODWIT_HELD', { guest: 'web1', reason }).toJSON());
    assert.equal(world.outcome, 'lost');
  });

  for (const mode of ['precopy', 'postcopy'] as const) {
    test(`a commit that is refused brings the guest back to the source: ${mode}`, () => {
      const world = new World(planned({ mode }));
      driveUntil(world, isDoing('commit'));
      world.destination?.dies();
      settle(world);
      assert.equal(world.outcome, 'failed');
      assertSourceRuns(world);
    });
  }

  test('a post-copy stream that pauses is resumed', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('drain'));
    world.says('postcopy-paused');
    settle(world);
    assertHandedOver(world);
  });

  test('a source that dies while post-copy drains is a loss', () => {
    const world = new World(planned({ mode: 'postcopy' }));
    driveUntil(world, isDoing('drain'));
    world.run = 'gone';
    world.unheard.push({ type: 'lost', reason: 'killed' });
    settle(world);
    assert.equal(world.outcome, 'lost');
    assert.equal(exitCodeOf(world.state), ERRORS.GODWIT_LOST.exit);
  });
});

test('a stream that cannot be taken back is held, with nothing left at the destination', () => {
  const world = new World();
  driveUntil(world, (at) => at.stream === 'device');
  world.dispatch({ type: 'cancel' });
  for (let count = 0; count < MAX_ATTEMPTS; count += 1) world.answer('before', errorOf());
  settle(world);
  assert.equal(world.outcome, 'held');
  assert.ok(world.destination?.isClean);
});

test('a stream that is taken back at the second try has the same effect as a cancel', () => {
  const world = new World();
  driveUntil(world, isDoing('switchover'));
  world.dispatch({ type: 'cancel' });
  world.answer('before', errorOf());
  settle(world);
  assert.equal(world.outcome, 'cancelled');
  assertSourceRuns(world);
});

test('a destination that answers a release by reporting that it ran is held', () => {
  const world = new World();
  driveUntil(world, isDoing('commit'));
  world.carryOut({ type: 'do', step: 'commit' });
  // The record of the commit was lost with the host’s power: the journal ends in switchover.
  world.run = 'gone';
  const cut = world.journal.findLastIndex((event) => event.type === 'hypervisor');
  world.journal.splice(cut);
  world.takeover();
  settle(world);
  assert.equal(world.outcome, 'held');
  const { message } = godwitError('GODWIT_HELD', { guest: 'web1', reason: '' });
  assert.ok(world.state.because?.message.startsWith(message));
});
