import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { planRun } from '../../meddle/draw.ts';
import type { Plan } from '../../meddle/plan.ts';
import { shrink, simpler } from '../../meddle/shrink.ts';

const plans = fc.integer({ min: 0, max: 2 ** 31 }).map((seed) => planRun(seed));
const has =
  (...kinds: readonly string[]) =>
  (plan: Plan): Promise<boolean> =>
    Promise.resolve(kinds.every((kind) => plan.operations.some((each) => each.kind === kind)));

describe('simplification of a failing plan', () => {
  test('each simpler plan differs from the plan, and the simplification ends', () => {
    fc.assert(
      fc.property(plans, (plan) => {
        let now = plan;
        for (let steps = 0; steps < 100; steps += 1) {
          const all = simpler(now);
          for (const each of all) assert.notDeepEqual(each, now);
          const [first] = all;
          if (first === undefined) return;
          now = first;
        }
        assert.fail('it does not end');
      }),
    );
  });

  test('a failure of one operation keeps that operation alone, in the simplest setting, at that moment', async () => {
    await fc.assert(
      fc.asyncProperty(plans, fc.nat(), async (plan, at) => {
        const kind = plan.operations[at % plan.operations.length]?.kind ?? '';
        const least = await shrink(plan, has(kind), 1000);
        assert.deepEqual(
          least.operations.map((each) => [each.kind, each.afterMs]),
          [[kind, 0]],
        );
        assert.equal(least.scene.layout, 'none');
        assert.equal(least.scene.mode, 'precopy');
      }),
    );
  });

  test('a failure of two operations together keeps both', async () => {
    const operations = (['pause', 'reset', 'balloon', 'resume'] as const).map((kind) => {
      return { kind, moment: 'memory' as const, afterMs: 300, pick: 0 };
    });
    const least = await shrink({ ...planRun(1), operations }, has('pause', 'balloon'), 1000);
    assert.deepEqual(
      least.operations.map(({ kind }) => kind),
      ['pause', 'balloon'],
    );
  });

  test('no more runs are made than were allowed', async () => {
    let count = 0;
    await shrink(planRun(7), () => Promise.resolve((count += 1) > 0), 3);
    assert.equal(count, 3);
  });
});
