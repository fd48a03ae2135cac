import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  nextRollStage,
  ROLL_NEWS,
  rollStep,
  type RollInput,
} from '../../../src/controller/requests/roll.ts';
import type { StageAnswer } from '../../../src/controller/requests/roll-health.ts';
import type { StepOutput } from '../../../src/controller/requests/step.ts';
import {
  ROLL_STAGES,
  fleetRequest as requestShape,
  type RollStage,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';
import { answersOf, drainOf, GIB, guest, host, moveOf, NOW, world, type Fleet } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));
const ids = ['m-00000011', 'm-00000012', 'm-00000013'];
const well: StageAnswer = { of: 'program', ok: true, promised: {} };
const seen: StageAnswer = { of: 'host', ok: true, version: '1', sampled: true };

const rollOf = (more: Partial<FleetRequestAsk> = {}): FleetRequest =>
  drainOf('a', { kind: 'roll', hosts: ['a', 'b'], run: 'upgrade', ...more });

const at = (
  request: FleetRequest,
  stage: RollStage,
  more: Partial<NonNullable<FleetRequest['roll']>> = {},
): FleetRequest => ({
  ...request,
  roll: { at: 0, stage, sinceMs: NOW, away: [], ...more },
});

function stepOf(
  request: FleetRequest,
  fleet: Partial<Fleet>,
  more: Partial<RollInput> = {},
): StepOutput {
  const now = world({ hosts, guests: [], ...fleet });
  const input = {
    request,
    moves: [],
    sights: new Map(),
    world: now,
    cancel: 'no',
    epoch: 3,
  } as const;
  return rollStep({ ...input, ids, heard: undefined, occupancies: answersOf(now), ...more });
}

test('only an empty host that described itself has its program run, and only one that is back is opened', () => {
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
  let request = rollOf();
  const done: string[] = [];
  for (let turn = 0; turn < 20 && request.phase === 'working'; turn += 1) {
    const heard = request.roll?.stage === 'running' ? well : seen;
    const { request: next, closes, opens } = stepOf(request, {}, { heard });
    if (closes !== undefined) done.push(`closes ${closes}`);
    if (next.roll?.stage === 'running' && request.roll?.stage === 'noting') done.push('runs');
    if (opens !== undefined) done.push(`opens ${opens}`);
    request = requestShape.parse(JSON.parse(JSON.stringify(next)));
  }
  assert.equal(request.phase, 'done');
  assert.deepEqual(done, ['closes a', 'runs', 'opens a', 'closes b', 'runs', 'opens b']);
  assert.equal(request.words, '2 hosts rolled, 0 moves');
});

test('a host is not closed while the others lack room for all of its guests, and the roll gives up in the end', () => {
  const big = guest('big', 'a', { memoryBytes: 100 * GIB });
  const first = stepOf(rollOf(), { guests: [big] });
  assert.deepEqual([first.closes, first.request.roll?.stage], [undefined, 'planning']);
  assert.match(
    first.request.words,
    /a \(1 of 2\): it is not drained, because 1 guest has no place/,
  );
  const later = stepOf(first.request, { guests: [big], nowMs: NOW + 601_000 });
  assert.equal(later.request.phase, 'left');
  assert.match(later.request.words, /^stopped at a/);
  assert.equal(stepOf(rollOf(), { guests: [guest('g1', 'a')] }).closes, 'a');
});

test('a roll stops at a guest that cannot move, before anything is closed', () => {
  const pinned = guest('usb', 'a', { unmovable: ['device usb0 is passed through'] });
  const { request, closes } = stepOf(rollOf(), { guests: [pinned] });
  assert.deepEqual([request.phase, closes], ['left', undefined]);
  assert.match(request.words, /stopped at a.*usb stays: it cannot move live/);
});

test('no host begins after the deadline, and one that has begun is completed', () => {
  const ask = { deadlineAtMs: NOW - 1 };
  assert.equal(stepOf(rollOf(ask), {}).request.phase, 'left');
  assert.equal(stepOf(at(rollOf(ask), 'draining'), {}).request.roll?.stage, 'noting');
});

test('a roll stops if the program fails, and the host stays closed', () => {
  const failed: StageAnswer = { of: 'program', ok: false, words: 'ended with 1: no space left' };
  const { request, opens } = stepOf(at(rollOf(), 'running'), {}, { heard: failed });
  assert.deepEqual([request.phase, opens], ['left', undefined]);
  assert.match(request.words, /upgrade ended with 1: no space left; a stays closed/);
});

test('a roll stops at a host that does not come back in time, and reports what is missing', () => {
  const silent = [host('a', { silentSinceMs: NOW }), ...hosts.slice(1)];
  const request = at(rollOf({ healthyWithinMs: 60_000 }), 'waiting', { before: { version: '1' } });
  const before = stepOf(request, { hosts: silent }, { heard: seen });
  assert.deepEqual(
    [before.request.phase, before.request.words],
    ['working', 'a (1 of 2): it is silent'],
  );
  const late = stepOf(request, { hosts: silent, nowMs: NOW + 61_000 }, { heard: seen });
  assert.equal(late.request.phase, 'left');
  assert.match(late.request.words, /^stopped at a \(1 of 2\): it is silent; a stays closed/);
  // That it is back counts, also where that is seen late.
  const back = stepOf(request, { nowMs: NOW + 61_000 }, { heard: seen });
  assert.equal(back.request.roll?.stage, 'returning');
});

test('a guest that comes to an emptied host before its program leaves first', () => {
  const { request } = stepOf(
    at(rollOf(), 'noting'),
    { guests: [guest('g1', 'a')] },
    { heard: seen },
  );
  assert.equal(request.roll?.stage, 'draining');
});

test('guests stay at their new hosts, or come back if that was requested', () => {
  const moves = [moveOf({ from: 'a', to: 'b' })];
  const sights = new Map([['m-00000001', { seen: 'done' as const }]]);
  const fleet = { guests: [guest('g1', 'b')] };
  const left = (ask: Partial<FleetRequestAsk>) =>
    stepOf(at(rollOf(ask), 'draining'), fleet, { moves, sights }).request.roll?.away;
  assert.deepEqual([left({}), left({ comeBack: true })], [[], ['g1']]);
  const back = at(rollOf({ comeBack: true }), 'returning', { away: ['g1', 'ended'] });
  const first = stepOf(back, fleet);
  assert.deepEqual(
    first.moves.map(({ guest: name, from, to }) => [name, from, to]),
    [['g1', 'b', 'a']],
  );
  const next = stepOf(back, { guests: [guest('g1', 'a')] });
  assert.deepEqual([next.request.roll?.at, next.request.roll?.stage], [1, 'planning']);
});

test("a cancel waits for a program that runs here, and reports another one's unknown state", () => {
  const request = at(rollOf(), 'running');
  const cancel = 'let-run' as const;
  const runs = stepOf(request, {}, { cancel, heard: 'pending' });
  assert.equal(runs.request.phase, 'cancelling');
  const ended = stepOf(runs.request, {}, { cancel, heard: well });
  assert.match(ended.request.words, /upgrade has ended well for a; a stays closed/);
  const unknown = stepOf(request, {}, { cancel });
  assert.equal(unknown.request.phase, 'cancelled');
  assert.match(unknown.request.words, /nobody knows whether upgrade has run for a/);
});

test('a cancelled roll closes, opens and begins nothing, whatever is reported, and its record can be read again', () => {
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
      const { roll, words, phase } = requestShape.parse(JSON.parse(JSON.stringify(output.request)));
      assert.deepEqual(
        [roll, words, phase],
        [output.request.roll, output.request.words, output.request.phase],
      );
      if (output.request.roll?.stage === 'running') assert.ok(!there || stage === 'running');
      if (cancel === 'no') return;
      const { closes, opens, begins } = output;
      assert.deepEqual(
        [closes, opens, begins, output.moves],
        [undefined, undefined, undefined, []],
      );
    }),
  );
});
