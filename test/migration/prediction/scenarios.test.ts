import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { scenarios, type Scenario } from '../../../src/migration/prediction/scenarios.ts';

const spreads = { link: 0.1, dirty: 0.25, share: 0.3, processor: 0.3, fixed: 0.4 };

describe('the cases of a prediction', () => {
  test('the cases of a prediction are the same each time', () => {
    assert.deepEqual(scenarios(spreads), scenarios(spreads));
  });

  test('the cases of a prediction are spread evenly on both sides of the figure', () => {
    const cases = scenarios(spreads);
    for (const [name, spread] of Object.entries(spreads)) {
      const logs = cases.map((each) => Math.log(each[name as keyof Scenario]));
      const mean = logs.reduce((sum, each) => sum + each, 0) / logs.length;
      const variance = logs.reduce((sum, each) => sum + (each - mean) ** 2, 0) / logs.length;
      assert.ok(Math.abs(mean) < spread / 10, `${name}: ${mean}`);
      assert.ok(Math.abs(Math.sqrt(variance) / spread - 1) < 0.1, `${name}: ${variance}`);
    }
  });

  test('the cases of a prediction are independent: an error in one figure implies none in another', () => {
    const cases = scenarios(spreads);
    const names = ['link', 'dirty', 'share', 'processor', 'fixed', 'tail'] as const;
    for (const [at, one] of names.entries()) {
      for (const other of names.slice(at + 1)) {
        const together = cases.filter((each) => each[one] > 1 === each[other] > 1).length;
        if (other === 'tail') continue;
        assert.ok(Math.abs(together / cases.length - 0.5) < 0.1, `${one} ${other}`);
      }
    }
  });

  test('the cases of a prediction equal the figure if it has no spread', () => {
    const none = { link: 0, dirty: 0, share: 0, processor: 0, fixed: 0 };
    for (const { tail, ...factors } of scenarios(none)) {
      assert.ok(tail >= 0 && tail < 1);
      assert.deepEqual(new Set(Object.values(factors)), new Set([1]));
    }
  });
});
