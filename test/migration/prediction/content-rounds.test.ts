import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { simulateContent } from '../../../src/migration/prediction/content-rounds.ts';
import { loadOf } from '../../../src/migration/prediction/load.ts';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import {
  CONTENT_ROUNDS,
  FREEZE_MS,
  FREEZE_MS_PER_GB,
} from '../../../src/migration/prediction/parameters.ts';
import { expected, predict } from '../../../src/migration/prediction/predict.ts';
import { NOMINAL } from '../../../src/migration/prediction/scenarios.ts';
import { anyFacts } from './samples.ts';

const LONG_MS = Number.MAX_SAFE_INTEGER;

/** Any container, with all the time that it needs. */
const box = anyFacts.map((facts): Facts => {
  const settings = { ...facts.settings, mode: 'precopy' as const, timeoutMs: LONG_MS };
  return {
    ...facts,
    settings,
    memoryPath: 'content',
    rounds: 'content',
    hintedFreeBytes: undefined,
  };
});
const roundsOf = (facts: Facts) =>
  simulateContent(loadOf(facts, NOMINAL), facts.settings, NOMINAL.processor);

describe('the rounds of a container', () => {
  test('the rounds of a container end by themselves after at least two, whatever it writes', () => {
    fc.assert(
      fc.property(box, (facts) => {
        const found = roundsOf(facts);
        assert.equal(found.ends, 'precopy');
        assert.ok(found.rounds >= 2 && found.rounds <= CONTENT_ROUNDS, String(found.rounds));
        assert.ok(found.bytes >= loadOf(facts, NOMINAL).passBytes);
        assert.ok(found.memoryMs >= found.lastMs + found.finalMs);
        assert.equal(predict(facts).converges.probability, 1);
      }),
    );
  });

  test('an idle container takes two rounds, and has nothing left to send while it is frozen', () => {
    fc.assert(
      fc.property(box, (facts) => {
        const { rounds, finalMs, bytes } = roundsOf({ ...facts, curve: [] });
        assert.deepEqual([rounds, finalMs], [2, 0]);
        assert.equal(bytes, loadOf(facts, NOMINAL).passBytes);
      }),
    );
  });

  test('the rounds of a container do not end in less time than they take', () => {
    fc.assert(
      fc.property(box, fc.double({ min: 0.1, max: 0.99, noNaN: true }), (facts, share) => {
        const timeoutMs = roundsOf(facts).memoryMs * share;
        const { ends, memoryMs } = roundsOf({
          ...facts,
          settings: { ...facts.settings, timeoutMs },
        });
        assert.deepEqual([ends, memoryMs], ['never', timeoutMs]);
      }),
    );
  });

  test('a container is stopped for its dump and its restore, and longer the more memory it has', () => {
    fc.assert(
      fc.property(box, fc.double({ min: 1, max: 8, noNaN: true }), (facts, times) => {
        const ofBytes = (memoryBytes: number): number =>
          expected({ ...facts, curve: [], memoryBytes }).downtimeMs;
        const { memoryBytes } = facts;
        const leastMs = FREEZE_MS + (memoryBytes / 1e9) * FREEZE_MS_PER_GB;
        assert.ok(ofBytes(memoryBytes) >= leastMs - 1);
        assert.ok(ofBytes(memoryBytes * times) >= ofBytes(memoryBytes) - 1e-6);
      }),
    );
  });

  test('the predicted stop moves from the assumed time towards the times measured on this host', () => {
    fc.assert(
      fc.property(box, fc.integer({ min: 200, max: 60_000 }), (facts, downtimeMs) => {
        const assumedMs = expected({ ...facts, ownMoves: [] }).downtimeMs;
        const { maxDowntimeMs } = facts.settings;
        const kind = { finished: 'precopy' as const, byWire: false, several: false, maxDowntimeMs };
        const ownMoves = Array.from({ length: 3 }, () => ({ ...kind, downtimeMs }));
        const saidMs = expected({ ...facts, ownMoves }).downtimeMs;
        const off = (ms: number): number => Math.abs(Math.log(ms / downtimeMs));
        assert.ok(off(saidMs) <= off(assumedMs) + 1e-9, `${saidMs} of ${downtimeMs}`);
      }),
    );
  });
});
