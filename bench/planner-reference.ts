import type { Outcome, Policy, SelectionRule } from './cloudsim/experiment.ts';
import type { OverloadRule } from './cloudsim/overload.ts';

/** `lr_mmt_1.2` and its like, as CloudSim's experiments are called. Undefined for what draws random numbers. */
export function policyCalled(name: string): Policy | undefined {
  const [rule = '', selection = '', parameter = ''] = name.split('_');
  if (rule === 'npa' || rule === 'dvfs') return { policy: rule };
  const overload = overloadCalled(rule, Number(parameter));
  if (selection !== 'mmt' && selection !== 'mu' && selection !== 'mc') return undefined;
  return { policy: 'reference', overload, selection: selection satisfies SelectionRule };
}

function overloadCalled(rule: string, parameter: number): OverloadRule {
  switch (rule) {
    case 'thr':
      return { rule, limit: parameter };
    case 'iqr':
    case 'mad':
    case 'lr':
      return { rule, safety: parameter };
    case 'lrr':
      // CloudSim never applies the weights that would make it another rule.
      return { rule: 'lr', safety: parameter };
    default:
      throw new RangeError(`no reference rule is called ${rule}`);
  }
}

/** An outcome as CloudSim prints it. */
export function digitsOf(outcome: Outcome): string {
  const percent = (share: number, digits: number): string => (share * 100).toFixed(digits);
  return [
    outcome.kwh.toFixed(2),
    outcome.moves,
    percent(outcome.slav, 5),
    percent(outcome.lostByMoves, 2),
    percent(outcome.shortTime, 2),
    percent(outcome.unserved, 2),
    percent(outcome.meanMissed, 2),
    outcome.shutdowns,
  ].join(',');
}
