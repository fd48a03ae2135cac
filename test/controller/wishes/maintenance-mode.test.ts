import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { godwitError } from '../../../src/errors.ts';
import type { GuestFacts, HostFacts } from '../../../src/controller/wishes/facts.ts';
import {
  forbiddenBy,
  modeCallOf,
  modeOf,
  MOST_ASKED,
} from '../../../src/controller/wishes/maintenance-mode.ts';
import type { ModeHeard } from '../../../src/controller/wishes/maintenance-mode.ts';
import { previewOf, storedWorld } from '../../../src/controller/wishes/preview.ts';
import { step } from '../../../src/controller/wishes/step.ts';
import type { StepOutput } from '../../../src/controller/wishes/step.ts';
import type { Cancel } from '../../../src/controller/wishes/moves.ts';
import { isWishEnd, wish as wishShape } from '../../../src/protocol/controller/wish.ts';
import type { Wish, WishAsk } from '../../../src/protocol/controller/wish.ts';
import type {
  MaintenanceMode,
  MaintenanceSight,
} from '../../../src/protocol/public/managed-host.ts';
import { drainOf, guest, host, NOW, world } from './worlds.ts';
import type { Fleet } from './worlds.ts';

const DRS: MaintenanceMode = { moves: 'manager', words: 'DRS of C0', leaves: [] };
const NO_DRS: MaintenanceMode = { moves: 'asker', words: 'DRS of C0 is manual', leaves: [] };
const ids = ['m-00000011', 'm-00000012', 'm-00000013'];

const hostsWith = (maintenanceMode: MaintenanceMode): HostFacts[] =>
  ['a', 'b', 'c'].map((name) => host(name, { realm: 'vc1', maintenanceMode }));

interface Given {
  readonly mode?: MaintenanceMode;
  readonly guests?: readonly GuestFacts[];
  readonly heard?: ModeHeard;
  readonly cancel?: Cancel;
  readonly nowMs?: number;
  readonly more?: Partial<Fleet>;
}

function stepOf(
  wish: Wish,
  { mode = DRS, guests = [], heard, cancel = 'no', nowMs = NOW, more = {} }: Given,
): StepOutput {
  const now = world({ hosts: hostsWith(mode), guests, nowMs, ...more });
  return step({
    wish,
    moves: [],
    sights: new Map(),
    world: now,
    cancel,
    mode: heard,
    epoch: 3,
    ids,
  });
}

const sight = (
  state: MaintenanceSight['state'],
  more: Partial<MaintenanceSight> = {},
): ModeHeard => ({
  of: 'sight',
  sight: { state, ...more },
});
const previewed = (ask: Partial<WishAsk>, mode: MaintenanceMode, guests: readonly GuestFacts[]) => {
  const wish = drainOf('a', ask);
  return previewOf(wish, storedWorld(wish, world({ hosts: hostsWith(mode), guests })));
};

const two = [guest('g1', 'a'), guest('g2', 'a')];

/** A drain whose host was looked at: the order is written down, and nobody knows whether the manager has it. */
function asked(): Wish {
  const { wish } = stepOf(drainOf('a'), { guests: two, heard: sight('out') });
  assert.equal(wish.maintenanceMode?.phase, 'asking');
  return wish;
}

describe('the dry run of a drain', () => {
  test('plans no move where the manager moves the guests, and names who does', () => {
    const plan = previewed({}, DRS, two);
    assert.deepEqual(plan.steps, []);
    assert.deepEqual(plan.maintenanceMode, { host: 'a', moves: 'manager', words: 'DRS of C0' });
    assert.deepEqual(
      plan.waiting.map(({ waitsFor }) => waitsFor),
      ['manager', 'manager'],
    );
  });

  test('plans the moves of guests that the manager leaves, and no others', () => {
    const plan = previewed({}, { ...DRS, leaves: ['g2'] }, two);
    assert.deepEqual(
      plan.steps.map((each) => each.guest),
      ['g2'],
    );
  });

  test('plans all moves where the manager moves none, and says so', () => {
    const plan = previewed({}, NO_DRS, two);
    assert.deepEqual(plan.steps.map((each) => each.guest).toSorted(), ['g1', 'g2']);
    assert.equal(plan.maintenanceMode?.moves, 'godwit');
  });

  test('leaves guests that are off where they are, unless they are to leave too', () => {
    const off = guest('g1', 'a', { at: [{ host: 'a', state: 'stopped' }] });
    assert.equal(previewed({}, DRS, [off]).stays.length, 1);
    assert.equal(previewed({ stopped: true }, DRS, [off]).waiting[0]?.waitsFor, 'manager');
  });
});

describe('a drain of a host under a manager', () => {
  test('has the manager asked at once, and is done only once the host is in the mode', () => {
    let { wish } = stepOf(drainOf('a'), { guests: two });
    assert.equal(modeCallOf(wish.maintenanceMode, 'no', NOW), 'look');
    ({ wish } = stepOf(wish, { guests: two, heard: sight('out') }));
    assert.equal(modeCallOf(wish.maintenanceMode, 'no', NOW), 'enter');
    ({ wish } = stepOf(wish, { guests: two, heard: sight('entering') }));
    assert.equal(modeCallOf(wish.maintenanceMode, 'no', NOW), 'look');
    assert.match(wish.words, /DRS of C0 moves its guests/);
    ({ wish } = stepOf(wish, { guests: [], heard: sight('entering') }));
    assert.equal(wish.phase, 'working', 'it is empty, and guests may come still');
    ({ wish } = stepOf(wish, { guests: [], heard: sight('in') }));
    assert.equal(wish.phase, 'done');
    assert.match(wish.words, /a is in maintenance mode/);
  });

  test('begins its own moves beside the mode where the manager moves none', () => {
    const { moves, wish } = stepOf(drainOf('a'), { mode: NO_DRS, guests: two });
    assert.equal(moves.length, 2);
    assert.match(wish.words, /Godwit plans the moves: DRS of C0 is manual/);
  });

  test('begins no move while the manager moves the guests, whatever the manager answers', () => {
    const all: readonly ModeHeard[] = [
      sight('out'),
      sight('entering'),
      sight('in'),
      sight('leaving'),
      { of: 'silent' },
      { of: 'refused', error: godwitError('GODWIT_INTERNAL', { what: 'x' }).toJSON() },
    ];
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...all), { maxLength: 8 }), (answers) => {
        let wish = drainOf('a');
        for (const [round, heard] of answers.entries()) {
          const output = stepOf(wish, { guests: two, heard, nowMs: NOW + round * 60_000 });
          assert.deepEqual(output.moves, []);
          assert.doesNotThrow(() => wishShape.parse(output.wish));
          assert.notEqual(output.wish.phase, 'done');
          ({ wish } = output);
        }
      }),
    );
  });

  test('that is refused a right says which, leaves the guests and asks no more', () => {
    const error = godwitError('GODWIT_MANAGER_DENIED', {
      manager: 'vSphere',
      address: 'its vCenter',
      what: 'a call that needs the right Host.Config.Maintenance',
      reason: 'x',
    }).toJSON();
    const first = asked();
    const { wish } = stepOf(first, { guests: two, heard: { of: 'refused', error } });
    assert.equal(wish.phase, 'left');
    assert.equal(wish.stays.length, 2);
    assert.match(wish.words, /a is not in maintenance mode: .*Host\.Config\.Maintenance/);
    assert.equal(modeCallOf(wish.maintenanceMode, 'no', NOW), 'nothing');
  });

  test('asks again after a failure, with pauses, and not for ever; a person’s cancel at the manager ends it', () => {
    let wish = asked();
    for (let at = 1; at <= MOST_ASKED; at += 1) {
      const nowMs = NOW + at * 60_000;
      wish = stepOf(wish, { guests: two, heard: sight('entering'), nowMs }).wish;
      const failed = { reason: 'Operation timed out.', cancelled: false };
      wish = stepOf(wish, { guests: two, heard: sight('out', { failed }), nowMs }).wish;
      const isLast = at === MOST_ASKED;
      assert.equal(modeCallOf(wish.maintenanceMode, 'no', nowMs), 'nothing');
      assert.equal(
        modeCallOf(wish.maintenanceMode, 'no', nowMs + 30_000),
        isLast ? 'nothing' : 'look',
      );
      wish = stepOf(wish, { guests: two, heard: sight('out'), nowMs: nowMs + 30_000 }).wish;
    }
    assert.equal(wish.phase, 'left');
    const begun = stepOf(asked(), { guests: two, heard: sight('entering') }).wish;
    const failed = { reason: 'RequestCanceled', cancelled: true };
    const ended = stepOf(begun, { guests: two, heard: sight('out', { failed }) }).wish;
    assert.equal(ended.phase, 'left');
    assert.match(ended.words, /somebody cancelled it/);
  });

  test('that is cancelled has the host in use again before it is over', () => {
    const begun = stepOf(asked(), { guests: two, heard: sight('entering') }).wish;
    let { wish } = stepOf(begun, { guests: two, cancel: 'let-run' });
    assert.equal(wish.phase, 'cancelling');
    assert.equal(modeCallOf(wish.maintenanceMode, 'let-run', NOW), 'leave');
    ({ wish } = stepOf(wish, { guests: two, cancel: 'let-run', heard: { of: 'silent' } }));
    assert.equal(wish.phase, 'cancelling', 'nobody knows what the manager does');
    ({ wish } = stepOf(wish, { guests: two, cancel: 'let-run', heard: sight('out') }));
    assert.equal(wish.phase, 'cancelled');
  });

  test('takes a host for its own whose order was answered and whose answer was lost', () => {
    const { wish } = stepOf(asked(), { guests: two, heard: sight('in') });
    assert.equal(wish.maintenanceMode?.found, false);
    const cancelled = stepOf(wish, { guests: two, cancel: 'let-run' }).wish;
    assert.equal(modeCallOf(cancelled.maintenanceMode, 'let-run', NOW), 'leave');
  });

  test('leaves a host in the mode that was in it before', () => {
    const found = stepOf(drainOf('a'), {
      guests: two,
      heard: sight('entering'),
    }).wish;
    const { wish } = stepOf(found, { guests: two, cancel: 'let-run' });
    assert.equal(wish.phase, 'cancelled');
    assert.match(wish.words, /stays in maintenance mode/);
  });

  test('leaves the mode alone where it is cancelled before anything was asked', () => {
    const looked: readonly (ModeHeard | undefined)[] = [
      undefined,
      { of: 'silent' },
      {
        of: 'refused',
        error: godwitError('GODWIT_DEADLINE', { what: 'x', deadlineMs: 1 }).toJSON(),
      },
    ];
    for (const heard of looked) {
      const first = stepOf(drainOf('a'), {
        guests: two,
        ...(heard === undefined ? {} : { heard }),
      });
      const { wish } = stepOf(first.wish, { guests: two, cancel: 'let-run' });
      assert.equal(modeCallOf(wish.maintenanceMode, 'let-run', NOW), 'nothing');
      assert.equal(wish.phase, 'cancelled');
    }
  });

  test('takes the mode back that it asked for, also where the first order seemed to be refused', () => {
    const error = godwitError('GODWIT_DEADLINE', { what: 'the order', deadlineMs: 1 }).toJSON();
    const refused = stepOf(asked(), { guests: two, heard: { of: 'refused', error } }).wish;
    assert.equal(refused.maintenanceMode?.phase, 'wanted');
    const nowMs = NOW + 60_000;
    const begun = stepOf(refused, { guests: two, heard: sight('entering'), nowMs }).wish;
    const { wish } = stepOf(begun, { guests: two, cancel: 'let-run', nowMs });
    assert.equal(modeCallOf(wish.maintenanceMode, 'let-run', nowMs), 'leave');
  });

  test('judges what a controller of the previous build wrote down by its phase', () => {
    const { asked: _asked, ...mode } = asked().maintenanceMode ?? assert.fail();
    const wish = { ...drainOf('a'), maintenanceMode: mode };
    const cancelled = stepOf(wish, { guests: two, cancel: 'let-run' }).wish;
    assert.equal(modeCallOf(cancelled.maintenanceMode, 'let-run', NOW), 'leave');
  });

  test('ends with what stays where a guest that runs there keeps the host from the mode', () => {
    const stuck = guest('g1', 'a', { unmovable: ['a device of the host'] });
    const begun = stepOf(drainOf('a'), { mode: NO_DRS, guests: [stuck], heard: sight('entering') });
    assert.equal(begun.wish.phase, 'left');
    assert.match(begun.wish.words, /a enters maintenance mode/);
    const off = guest('g1', 'a', { at: [{ host: 'a', state: 'stopped' }] });
    const { wish } = stepOf(drainOf('a'), {
      mode: NO_DRS,
      guests: [off],
      heard: sight('entering'),
    });
    assert.equal(wish.phase, 'working', 'a guest that is off keeps no host from it');
  });

  test('never ends before its mode is settled, whatever is heard and wherever guests are', () => {
    const states = fc.constantFrom('out', 'entering', 'in', 'leaving' as const);
    const heard = fc.oneof(
      states.map((each) => sight(each)),
      fc.constant<ModeHeard>({ of: 'silent' }),
    );
    const rounds = fc.array(
      fc.record({
        heard,
        at: fc.constantFrom('a', 'b'),
        cancel: fc.constantFrom<Cancel>('no', 'no', 'let-run'),
      }),
      { minLength: 1, maxLength: 10 },
    );
    fc.assert(
      fc.property(rounds, fc.constantFrom(DRS, NO_DRS), (all, mode) => {
        let wish = drainOf('a');
        for (const [round, each] of all.entries()) {
          const nowMs = NOW + round * 60_000;
          ({ wish } = stepOf(wish, { mode, guests: [guest('g1', each.at)], ...each, nowMs }));
          const phase = wish.maintenanceMode?.phase;
          if (wish.phase === 'done') assert.equal(phase, 'in');
          if (wish.phase === 'cancelled') assert.ok(phase === 'out' || phase === undefined);
          if (isWishEnd(wish.phase)) break;
        }
      }),
    );
  });
});

test('a host without such a mode is put into none, and a roll asks for none', () => {
  const now = world({ hosts: [host('a')], guests: [] });
  assert.equal(modeOf(drainOf('a'), now), undefined);
  const with_ = world({ hosts: hostsWith(DRS), guests: [] });
  assert.equal(modeOf(drainOf('a', { kind: 'roll', run: 'upgrade' }), with_), undefined);
  assert.equal(modeOf(drainOf('a'), with_)?.moves, 'manager');
});

test('a guest that a label keeps where it is is found before the manager could move it', () => {
  const labels = { g1: { 'godwit/never-move': 'true' } };
  const now = (mode: MaintenanceMode) => world({ hosts: hostsWith(mode), guests: two, labels });
  assert.equal(forbiddenBy(drainOf('a'), now(DRS)), 'g1');
  assert.equal(forbiddenBy(drainOf('a'), now(NO_DRS)), undefined);
  assert.equal(forbiddenBy(drainOf('a'), now({ ...DRS, leaves: ['g1'] })), undefined);
});
