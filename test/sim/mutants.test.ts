import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import type { Mutant } from '../../sim/mutant.ts';
import { IMPATIENT, MUTANTS } from '../../sim/mutants.ts';
import { runScenario } from '../../sim/run.ts';

/** Runs in which a mutant has to be found. */
const MAX_RUNS = 300;

function put({ puts }: Mutant, t: TestContext): void {
  for (const { target, method, by } of puts) {
    const real = Reflect.get(target, method) as Parameters<typeof by>[0];
    Reflect.set(target, method, by(real));
    t.after(() => Reflect.set(target, method, real));
  }
}

async function firstBroken(mutant: Mutant): Promise<{ rule: string; runs: number } | undefined> {
  for (let runs = 1; runs <= MAX_RUNS; runs += 1) {
    const { violation } = await runScenario(mutant.scenario(runs));
    if (violation !== undefined) return { rule: violation.rule, runs };
  }
  return undefined;
}

describe('broken movers', () => {
  for (const mutant of MUTANTS) {
    test(`a broken mover is detected: ${mutant.name} (${mutant.breaks})`, async (t) => {
      put(mutant, t);
      const found = await firstBroken(mutant);
      assert.ok(found !== undefined, `nothing was found in ${MAX_RUNS} runs`);
      t.diagnostic(`${found.rule}, in run ${found.runs}`);
      assert.match(found.rule, mutant.shows);
    });
  }

  test('movers that are only impatient never run the guest twice, since a refusal is binding', async (t) => {
    put(IMPATIENT, t);
    for (let nth = 1; nth <= 60; nth += 1) {
      const { violation } = await runScenario(IMPATIENT.scenario(nth));
      assert.doesNotMatch(violation?.rule ?? '', /two copies|again/);
    }
  });
});
