import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { COSTS } from '../../../src/migration/prediction/parameters.ts';
import { NOMINAL } from '../../../src/migration/prediction/scenarios.ts';
import { startMsOf, workMsPerByte, workOf } from '../../../src/migration/prediction/work.ts';
import { guest, MEMORY_PATHS } from './samples.ts';

const times = fc.double({ min: 0.25, max: 4, noNaN: true });

test("a path takes the time in the table, times the factor learned from this host's moves", () => {
  fc.assert(
    fc.property(fc.constantFrom(...MEMORY_PATHS), times, (memoryPath, told) => {
      const factors = { processor: { times: told, moves: 3 }, bytes: { times: 1, moves: 0 } };
      const { secondsPerGb, startSeconds } = workOf({ memoryPath, factors }, NOMINAL);
      const row = COSTS[memoryPath];
      assert.ok(Math.abs(secondsPerGb - row.secondsPerGb * told) < 1e-9);
      assert.ok(Math.abs(startSeconds - (row.startSeconds ?? 0) * told) < 1e-9);
    }),
  );
});

test('a path never takes longer with more processors on both hosts, and one slow host delays both', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...MEMORY_PATHS),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 1, max: 64 }),
      (memoryPath, one, more) => {
        const takes = (...cores: number[]): number => {
          const processors = cores.map((each) => ({ cores: each }));
          const facts = { ...guest(0), memoryPath, processors };
          return workMsPerByte(facts, NOMINAL) + startMsOf(facts, NOMINAL);
        };
        assert.ok(takes(one + more) <= takes(one));
        assert.equal(takes(one, one + more), takes(one));
      },
    ),
  );
});
