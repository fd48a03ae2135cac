import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  CONSOLIDATE,
  consolidate,
  type ConsolidateOptions,
} from '../../src/planner/consolidate.ts';
import { replay } from '../../src/planner/sim/history/replay.ts';
import { seeded } from '../../src/planner/sim/seeded.ts';

const GIB = 1024 ** 3;
const HOSTS = 6;
const GUESTS = 24;
const CORES = 4;
/** Two days, in looks of five minutes; the first twelve hours are given to settle. */
const LOOKS = 576;
const SETTLED = 144;

/** Guests whose load swings around one level by `swing` to either side, on equal hosts. */
function noise(seed: number, level: number, swing: number): Parameters<typeof replay>[0] {
  const random = seeded(seed);
  const loadNow = (): number =>
    CORES * Math.min(1, Math.max(0, level + swing * (random() + random() - 1)));
  return {
    hosts: Array.from({ length: HOSTS }, (_, at) => ({
      name: `h${at}`,
      cpu: 16,
      coreCpu: 1,
      memoryBytes: 64 * GIB,
      on: true,
      watts: [100, 200] as const,
    })),
    guests: Array.from({ length: GUESTS }, (_, at) => ({
      name: `g${at}`,
      host: `h${at % HOSTS}`,
      cores: CORES,
      memoryBytes: 4 * GIB,
      recorded: [],
      load: Float64Array.from({ length: LOOKS }, loadNow),
    })),
    ticks: LOOKS,
  };
}

/** Moves that are planned once it had time to settle. */
function movesOf(scene: Parameters<typeof replay>[0], options: ConsolidateOptions): number {
  let [look, moves] = [0, 0];
  const plan: Parameters<typeof replay>[1] = (inventory) => {
    const found = consolidate(inventory, options);
    look += 1;
    if (look > SETTLED) moves += found.moves.length;
    return found;
  };
  replay(scene, plan, { sleep: true });
  return moves;
}

describe('consolidation with varying load', () => {
  test('consolidation moves no guest once settled if the load varies little', () => {
    for (const level of [0.2, 0.4, 0.6, 0.8])
      for (const seed of [1, 2, 3]) {
        assert.equal(movesOf(noise(seed, level, 0.1), CONSOLIDATE), 0, `${level}, seed ${seed}`);
      }
  });

  test('consolidation does not empty a host just because its guests need little at the moment', () => {
    const hasty = { ...CONSOLIDATE, empty: { ...CONSOLIDATE.empty, lasting: false } };
    let [moves, hastyMoves] = [0, 0];
    for (const seed of [1, 2, 3, 4, 5]) {
      moves += movesOf(noise(seed, 0.2, 0.6), CONSOLIDATE);
      hastyMoves += movesOf(noise(seed, 0.2, 0.6), hasty);
    }
    assert.ok(
      hastyMoves > 0 && moves * 4 <= hastyMoves,
      `${moves} moves, and ${hastyMoves} of the hasty one`,
    );
  });
});
