import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  nextRollStage,
  ROLL_NEWS,
  rollStep,
  type RollInput,
} from '../../../src/controller/wishes/roll.ts';
import type { Heard } from '../../../src/controller/wishes/roll-health.ts';
import type { StepOutput } from '../../../src/controller/wishes/step.ts';
import {
  ROLL_STAGES,
  wish as wishShape,
  type RollStage,
  type Wish,
  type WishAsk,
} from '../../../src/protocol/controller/wish.ts';
import { answersOf, drainOf, GIB, guest, host, moveOf, NOW, world, type Fleet } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));
const ids = ['m-00000011', 'm-00000012', 'm-00000013'];
const well: Heard = { of: 'program', ok: true, promised: {} };
const seen: Heard = { of: 'host', ok: true, version: '1', sampled: true };

const rollOf = (more: Partial<WishAsk> = {}): Wish =>
  drainOf('a', { kind: 'roll', hosts: ['a', 'b'], run: 'upgrade', ...more });

const at = (wish: Wish, stage: RollStage, more: Partial<NonNullable<Wish['roll']>> = {}): Wish => ({
  ...wish,
  roll: { at: 0, stage, sinceMs: NOW, away: [], ...more },
});

function stepOf(wish: Wish, fleet: Partial<Fleet>, more: Partial<RollInput> = {}): StepOutput {
  const now = world({ hosts, guests: [], ...fleet });
  const input = { wish, moves: [], sights: new Map(), world: now, cancel: 'no', epoch: 3 } as const;
  return rollStep({ ...input, ids, heard: undefined, occupancies: answersOf(now), ...more });
}

test('only an empty host that has said what it is has its program run, and only one that is back is opened', () => {
  for (const stage of ROLL_STAGES) {
    for (const news of ROLL_NEWS) {
      const next = nextRollStage(stage, news);
      if (next === stage) continue;
      if (next === 'running') assert.deepEqual([stage, news], ['noting', 'noted']);
      if (next === 'noting') assert.deepEqual([stage, news], ['draining', 'empty']);
      if (next === 'returning') assert.deepEqual([stage, news], ['waiting', 'back']);
      if (next === 'next-host') assert.equal(stage, 'returning');
    }
  }
});

test('a roll goes through its hosts, each closed, run, opened, in this order', () => {
  let wish = rollOf();
  const done: string[] = [];
  for (let turn = 0; turn < 20 && wish.phase === 'working'; turn += 1) {
    const heard = wish.roll?.stage === 'running' ? well : seen;
    const { wish: next, closes, opens } = stepOf(wish, {}, { heard });
    if (closes !== undefined) done.push(`closes ${closes}`);
    if (next.roll?.stage === 'running' && wish.roll?.stage === 'noting') done.push('runs');
    if (opens !== undefined) done.push(`opens ${opens}`);
    wish = wishShape.parse(JSON.parse(JSON.stringify(next)));
  }
  assert.equal(wish.phase, 'done');
  assert.deepEqual(done, ['closes a', 'runs', 'opens a', 'closes b', 'runs', 'opens b']);
  assert.equal(wish.words, '2 hosts rolled, 0 moves');
});

test('a host is not closed while the others have no room for all of its guests, and that is given up in the end', () => {
  const big = guest('big', 'a', { memoryBytes: 100 * GIB });
  const first = stepOf(rollOf(), { guests: [big] });
  assert.deepEqual([first.closes, first.wish.roll?.stage], [undefined, 'planning']);
  assert.match(first.wish.words, /a \(1 of 2\): it is not drained, because 1 guest has no place/);
  const later = stepOf(first.wish, { guests: [big], nowMs: NOW + 601_000 });
  assert.equal(later.wish.phase, 'left');
  assert.match(later.wish.words, /^stopped at a/);
  assert.equal(stepOf(rollOf(), { guests: [guest('g1', 'a')] }).closes, 'a');
});

test('a roll stops at a guest that cannot move, before anything is closed', () => {
  const pinned = guest('usb', 'a', { unmovable: ['device usb0 is passed through'] });
  const { wish, closes } = stepOf(rollOf(), { guests: [pinned] });
  assert.deepEqual([wish.phase, closes], ['left', undefined]);
  assert.match(wish.words, /stopped at a.*usb stays: it cannot move live/);
});

test('no host is begun after the deadline, and one that was begun is brought to its end', () => {
  const ask = { deadlineAtMs: NOW - 1 };
  assert.equal(stepOf(rollOf(ask), {}).wish.phase, 'left');
  assert.equal(stepOf(at(rollOf(ask), 'draining'), {}).wish.roll?.stage, 'noting');
});

test('a roll stops where the program fails, and the host stays closed', () => {
  const failed: Heard = { of: 'program', ok: false, words: 'ended with 1: no space left' };
  const { wish, opens } = stepOf(at(rollOf(), 'running'), {}, { heard: failed });
  assert.deepEqual([wish.phase, opens], ['left', undefined]);
  assert.match(wish.words, /upgrade ended with 1: no space left; a stays closed/);
});

test('a roll stops at a host that does not come back in time, and says why it does not count as back', () => {
  const silent = [host('a', { silentSinceMs: NOW }), ...hosts.slice(1)];
  const wish = at(rollOf({ healthyWithinMs: 60_000 }), 'waiting', { before: { version: '1' } });
  const before = stepOf(wish, { hosts: silent }, { heard: seen });
  assert.deepEqual([before.wish.phase, before.wish.words], ['working', 'a (1 of 2): it is silent']);
  const late = stepOf(wish, { hosts: silent, nowMs: NOW + 61_000 }, { heard: seen });
  assert.equal(late.wish.phase, 'left');
  assert.match(late.wish.words, /^stopped at a \(1 of 2\): it is silent; a stays closed/);
  // That it is back counts, also where that is seen late.
  const back = stepOf(wish, { nowMs: NOW + 61_000 }, { heard: seen });
  assert.equal(back.wish.roll?.stage, 'returning');
});

test('a guest that comes to an emptied host before its program leaves first', () => {
  const { wish } = stepOf(at(rollOf(), 'noting'), { guests: [guest('g1', 'a')] }, { heard: seen });
  assert.equal(wish.roll?.stage, 'draining');
});

test('guests stay where they went, or come back where that was asked for', () => {
  const moves = [moveOf({ from: 'a', to: 'b' })];
  const sights = new Map([['m-00000001', { seen: 'done' as const }]]);
  const fleet = { guests: [guest('g1', 'b')] };
  const left = (ask: Partial<WishAsk>) =>
    stepOf(at(rollOf(ask), 'draining'), fleet, { moves, sights }).wish.roll?.away;
  assert.deepEqual([left({}), left({ comeBack: true })], [[], ['g1']]);
  const back = at(rollOf({ comeBack: true }), 'returning', { away: ['g1', 'ended'] });
  const first = stepOf(back, fleet);
  assert.deepEqual(
    first.moves.map(({ guest: name, from, to }) => [name, from, to]),
    [['g1', 'b', 'a']],
  );
  const next = stepOf(back, { guests: [guest('g1', 'a')] });
  assert.deepEqual([next.wish.roll?.at, next.wish.roll?.stage], [1, 'planning']);
});

test('a cancel waits for a program that runs here, and says what nobody knows of another one', () => {
  const wish = at(rollOf(), 'running');
  const cancel = 'let-run' as const;
  const runs = stepOf(wish, {}, { cancel, heard: 'pending' });
  assert.equal(runs.wish.phase, 'cancelling');
  const ended = stepOf(runs.wish, {}, { cancel, heard: well });
  assert.match(ended.wish.words, /upgrade has ended well for a; a stays closed/);
  const unknown = stepOf(wish, {}, { cancel });
  assert.equal(unknown.wish.phase, 'cancelled');
  assert.match(unknown.wish.words, /nobody knows whether upgrade has run for a/);
});

test('whatever is heard, a cancelled roll closes, opens and begins nothing, and what it writes can be read again', () => {
  const heards = fc.constantFrom<RollInput['heard']>(undefined, 'pending', well, seen);
  const given = fc.record({
    stage: fc.constantFrom(...ROLL_STAGES),
    heard: heards,
    there: fc.boolean(),
    cancel: fc.constantFrom('no' as const, 'let-run' as const, 'roll-back' as const),
  });
  fc.assert(
    fc.property(given, ({ stage, heard, there, cancel }) => {
      const guests = there ? [guest('g1', 'a')] : [];
      const output = stepOf(at(rollOf(), stage), { guests }, { heard, cancel });
      const { roll, words, phase } = wishShape.parse(JSON.parse(JSON.stringify(output.wish)));
      assert.deepEqual(
        [roll, words, phase],
        [output.wish.roll, output.wish.words, output.wish.phase],
      );
      if (output.wish.roll?.stage === 'running') assert.ok(!there || stage === 'running');
      if (cancel === 'no') return;
      const { closes, opens, begins } = output;
      assert.deepEqual(
        [closes, opens, begins, output.moves],
        [undefined, undefined, undefined, []],
      );
    }),
  );
});
