import { runScenario } from './run.ts';
import type { Scenario } from './scenario.ts';

/**
 * The scenario with as few faults as still break a rule: faults are left out one by one. The delays in between are
 * drawn in order, so each scenario is a run of its own; what is left breaks a rule by itself.
 */
export async function shrink(scenario: Scenario): Promise<Scenario> {
  let least = scenario;
  for (;;) {
    const less = await firstThatBreaks(without(least));
    if (less === undefined) return least;
    least = less;
  }
}

function without(scenario: Scenario): Scenario[] {
  const { faults, calls } = scenario;
  return [
    ...faults.map((_, left) => ({
      ...scenario,
      faults: faults.filter((_each, at) => at !== left),
    })),
    ...calls.map((_, left) => ({ ...scenario, calls: calls.filter((_each, at) => at !== left) })),
  ];
}

async function firstThatBreaks(scenarios: readonly Scenario[]): Promise<Scenario | undefined> {
  for (const scenario of scenarios) {
    const { violation } = await runScenario(scenario);
    if (violation !== undefined) return scenario;
  }
  return undefined;
}
