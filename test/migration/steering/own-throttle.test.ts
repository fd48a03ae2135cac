import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isBeyondThrottle, ownThrottle } from '../../../src/migration/steering/own-throttle.ts';
import { steer } from '../../../src/migration/steering/steering.ts';
import { afterRound } from '../../../src/migration/steering/trace.ts';
import {
  STRATEGIES,
  STRATEGY_NAMES,
  type SteeringMeasure,
} from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';

test('a manager may throttle a guest by itself only if the strategy may, and not before post-copy', () => {
  assert.deepEqual(
    STRATEGY_NAMES.map((name) => ownThrottle(STRATEGIES[name], 'hybrid')),
    [
      undefined,
      undefined,
      undefined,
      { initial: 20, increment: 20 },
      { initial: 20, increment: 20 },
    ],
  );
});

test('a manager may throttle in pre-copy even if post-copy would come first, since it has none', () => {
  const own = ownThrottle(STRATEGIES['must-finish'], 'precopy');
  assert.deepEqual(own, { initial: 30, increment: 19 });
  assert.equal(ownThrottle(STRATEGIES.standard, 'precopy'), undefined);
});

test("a manager's throttle begins at the strategy's first step, and never takes a larger one", () => {
  const percents = fc
    .uniqueArray(fc.integer({ min: 2, max: 99 }), { minLength: 1, maxLength: 16 })
    .map((all) => all.toSorted((one, other) => one - other));
  fc.assert(
    fc.property(percents, (throttlePercents) => {
      const own = ownThrottle({ measures: ['throttle'], throttlePercents }, 'hybrid');
      assert.equal(own?.initial, throttlePercents[0]);
      for (const [index, percent] of throttlePercents.entries())
        assert.ok((own?.increment ?? 100) <= percent - (throttlePercents[index - 1] ?? 0));
    }),
  );
});

test('a throttle beyond the last step is more than the strategy may do', () => {
  const strategy = { throttlePercents: [20, 40] };
  assert.deepEqual(
    [undefined, 20, 40, 41, 60].map((percent) => isBeyondThrottle(strategy, percent)),
    [false, false, false, true, true],
  );
});

/** What is decided in round 6, which began with as much as the one before. */
function decided(
  name: 'budget' | 'no-postcopy',
  { dirtyRate = 100, before = 99, remainingBytes = 900 },
  isBeyond = true,
) {
  const sees = { remainingBytes, rate: 100, transferredBytes: 0, dirtyRate };
  const sample = sampleOf({ ...sees, round: 6, throttlePercent: 99 });
  const earlier = sampleOf({ ...sees, round: 5, throttlePercent: before });
  const trace = afterRound(afterRound(undefined, earlier), sample);
  const levers: SteeringMeasure[] = name === 'budget' ? ['postcopy'] : [];
  const settings = { mode: 'hybrid', maxDowntimeMs: 100 } as const;
  return steer(STRATEGIES[name], { sample, trace, levers, settings, leftMs: 600_000, isBeyond })
    ?.what;
}

test('a guest that is throttled beyond the strategy is given up if a round of that achieved nothing', () => {
  assert.equal(decided('no-postcopy', {}), 'give-up');
  assert.equal(decided('no-postcopy', {}, false), undefined);
  assert.equal(decided('budget', {}), 'postcopy');
});

test('a guest that is throttled beyond the strategy moves on while there is a chance to converge', () => {
  for (const seen of [{ dirtyRate: 50 }, { remainingBytes: 2 }, { before: 80 }])
    assert.equal(decided('no-postcopy', seen), undefined, JSON.stringify(seen));
  assert.equal(decided('budget', { remainingBytes: 2 }), undefined);
});
