import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isBeyondThrottle, ownThrottle } from '../../../src/migration/steering/own-throttle.ts';
import { steer } from '../../../src/migration/steering/steering.ts';
import { afterRound } from '../../../src/migration/steering/trace.ts';
import { STRATEGIES, STRATEGY_NAMES } from '../../../src/protocol/public/steering.ts';
import type { SteeringMeasure } from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';

test('a manager may slow a guest down by itself only where the strategy may, and not before post-copy', () => {
  assert.deepEqual(
    STRATEGY_NAMES.map((name) => ownThrottle(STRATEGIES[name])),
    [
      undefined,
      undefined,
      undefined,
      { initial: 20, increment: 20 },
      { initial: 20, increment: 20 },
    ],
  );
});

test('it begins at the strategy’s first step, and never takes a larger one than the strategy does', () => {
  const percents = fc
    .uniqueArray(fc.integer({ min: 2, max: 99 }), { minLength: 1, maxLength: 16 })
    .map((all) => all.toSorted((one, other) => one - other));
  fc.assert(
    fc.property(percents, (throttlePercents) => {
      const own = ownThrottle({ measures: ['throttle'], throttlePercents });
      assert.equal(own?.initial, throttlePercents[0]);
      for (const [index, percent] of throttlePercents.entries())
        assert.ok((own?.increment ?? 100) <= percent - (throttlePercents[index - 1] ?? 0));
    }),
  );
});

test('beyond the last step is more than the strategy may', () => {
  const strategy = { throttlePercents: [20, 40] };
  assert.deepEqual(
    [undefined, 20, 40, 41, 60].map((percent) => isBeyondThrottle(strategy, percent)),
    [false, false, false, true, true],
  );
});

test('a guest that somebody else slows down by more than the strategy may gets the next measure at once, or is given up', () => {
  const sample = sampleOf({ round: 4, remainingBytes: 900, rate: 100, dirtyRate: 50 });
  const trace = afterRound(undefined, sample);
  const decided = (
    name: 'budget' | 'no-postcopy',
    levers: SteeringMeasure[],
    isBeyond: boolean,
  ) => {
    const settings = { mode: 'hybrid', maxDowntimeMs: 100 } as const;
    const view = { sample, trace, levers, settings, leftMs: 600_000, isBeyond };
    return steer(STRATEGIES[name], view)?.what;
  };
  assert.equal(decided('budget', ['postcopy'], true), 'postcopy');
  assert.equal(decided('budget', ['postcopy'], false), undefined);
  assert.equal(decided('no-postcopy', [], true), 'give-up');
  assert.equal(decided('no-postcopy', [], false), undefined);
});
