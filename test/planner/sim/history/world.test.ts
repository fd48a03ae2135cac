import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BALANCE } from '../../../../src/planner/balance-options.ts';
import { balance } from '../../../../src/planner/balance.ts';
import { consolidate } from '../../../../src/planner/consolidate.ts';
import type { SceneEvent } from '../../../../src/planner/sim/history/events.ts';
import { replay, type Planner } from '../../../../src/planner/sim/history/replay.ts';
import { World } from '../../../../src/planner/sim/history/world.ts';
import { FILES, historyOf } from './histories.ts';
import { FAILING } from '../../../../src/planner/sim/history/trouble.ts';
import { sceneOf, scenes, Watch } from './scenes.ts';

const POLICIES: readonly { name: string; plan: Planner; sleep: boolean }[] = [
  { name: 'balance', plan: (inventory) => balance(inventory), sleep: false },
  {
    name: 'balance at level 5',
    plan: (inventory) => balance(inventory, { ...BALANCE, level: 5 }),
    sleep: false,
  },
  { name: 'consolidate', plan: (inventory) => consolidate(inventory), sleep: true },
];

for (const { name, plan, sleep } of POLICIES) {
  test(`the policy ${name} breaks no rule in any scene: memory, separation, hosts closed to guests, no returns`, () => {
    let moves = 0;
    fc.assert(
      fc.property(scenes, (options) => {
        const watch = new Watch();
        const failing = options.trouble > 0 ? FAILING * 5 : 0;
        const of = { sleep, seed: options.seed, failing };
        const first = replay(sceneOf(options), plan, { ...of, watch: watch.watch });
        assert.deepEqual(watch.problems, []);
        assert.deepEqual(replay(sceneOf(options), plan, of), first);
        moves += watch.moves;
      }),
      { numRuns: 60 },
    );
    assert.ok(moves > 50, `${moves} moves were looked at`);
  });
}

const move = (guest: string, to: string) => {
  const cost = { bytes: 0, seconds: 0, downtimeMs: 0 };
  const why = { reason: 'contention' as const, words: '', cost, alternatives: [] };
  return { moves: [{ guest, from: 'a', to, ...why }] };
};

test('a move to a sleeping host begins once that has booted', () => {
  const world = new World(historyOf(FILES), { sleep: true });
  world.carryOut(move('g1', 'b'));
  assert.deepEqual([world.wakes, world.on().has('b'), world.bootJoules], [1, true, 15_000]);
  const hostOf = (): string | undefined => world.guests[0]?.host;
  // Its memory takes 69 s, and the move 3 s beside that.
  world.advance(220);
  assert.equal(hostOf(), 'a');
  world.advance(225);
  assert.equal(hostOf(), 'b');
});

test('a host that fails takes its guests with it, and ends the moves to it', () => {
  const events = [
    { at: 10, kind: 'fail', host: 'b' },
    { at: 20, kind: 'fail', host: 'a' },
  ] as const;
  const world = new World({ ...historyOf(FILES), events }, { sleep: false });
  world.carryOut(move('g1', 'b'));
  world.advance(15);
  assert.deepEqual([world.guests[0]?.host, world.guests[0]?.going], ['a', undefined]);
  assert.equal(world.failedMoves, 1);
  world.advance(25);
  assert.deepEqual([...world.on()], []);
  assert.ok(world.inventory().hosts.every(({ silent }) => silent === true));
});

test('a guest arrives at its recorded host, or where the planner places it, and leaves', () => {
  const { hosts, guests, ticks } = historyOf(FILES);
  const late = guests.map((each, at) =>
    at === 0 ? { ...each, startsAt: 600, stopsAt: 900 } : each,
  );
  const at = (events: readonly SceneEvent[]): (string | undefined)[] => {
    const world = new World({ hosts, guests: late, ticks, events }, { sleep: false });
    return [300, 600, 900].map((time) => {
      world.advance(time);
      return world.guests[0]?.host;
    });
  };
  assert.deepEqual(at([]), [undefined, 'a', undefined]);
  assert.deepEqual(at([{ at: 5, kind: 'drain', host: 'a' }]), [undefined, 'b', undefined]);
});

test('faulty sensors and silent hosts change the reports, not the facts', () => {
  const events = [
    { at: 200, kind: 'lies-nan', guest: 'g1' },
    { at: 500, kind: 'tells', guest: 'g1' },
    { at: 800, kind: 'silent', host: 'a' },
  ] as const;
  const world = new World({ ...historyOf(FILES), events }, { sleep: false });
  for (const tick of [0, 1, 2, 3]) {
    world.advance(tick * 300);
    world.sample(tick);
  }
  assert.deepEqual(world.inventory().guests[0]?.demand, [1, Number.NaN, 1]);
});
