import { textAt, type XmlElement } from '../../../formats/xml.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import { managerPass, managerWarn } from '../../../port/manager-checks.ts';
import { some, type HostFeatures } from './baseline.ts';

/**
 * Processor features that a guest has used since its start (`runtime.featureRequirement`), compared with hosts'
 * features. Pure.
 */

const MAX = 4096;
/** Must be present. Other values are numbers, which only vSphere compares. */
const NEEDED = 'Bool:Min:1';

export function neededIn(requirements: XmlElement | undefined): string[] {
  return (requirements?.children ?? [])
    .slice(0, MAX)
    .filter((each) => textAt(each, 'value') === NEEDED)
    .flatMap((each) => textAt(each, 'key')?.slice(0, 128) ?? [])
    .filter((key) => key.startsWith('cpuid.'))
    .toSorted();
}

export interface RequirementFacts {
  readonly needed: readonly string[];
  /** vCenter's name of the destination. */
  readonly to: string;
  /** Hosts of its cluster, or it alone. */
  readonly hosts: readonly HostFeatures[];
}

/** vSphere checks the move itself; this check names the features and the hosts that lack them. */
export function requirementCheck({ needed, to, hosts }: RequirementFacts): Check {
  const passing = (evidence: string): Check => managerPass('features', 'destination', evidence);
  const warning = (evidence: string, hint: string): Check =>
    managerWarn('features', 'destination', evidence, hint);
  if (needed.length === 0)
    return passing('the vCenter names no feature of the processor that the guest needs');
  const lacks = ({ features }: Pick<HostFeatures, 'features'>): string[] =>
    features === undefined ? [] : needed.filter((each) => !features.has(each));
  const there = hosts.find(({ name }) => name === to);
  const uses = `the guest uses ${needed.length} features of its processor`;
  if (there?.features === undefined) {
    const evidence = `${uses}; those of ${to} are not shown, so nobody compared them`;
    const hint = `Compare the EVC modes of both clusters in the check \`evc\`, connect ${to}, and give the user System.Read on it.`;
    return warning(evidence, hint);
  }
  const others = hosts.filter(({ name }) => name !== to);
  const barred = others
    .filter((each) => lacks(each).length > 0)
    .map((each) => `${each.name} lacks ${some(lacks(each))}`);
  const beside = barred.length === 0 ? '' : `; beside it ${barred.slice(0, 16).join('; ')}`;
  const own = lacks(there);
  if (own.length === 0) return passing(`${uses}, and ${to} has them${beside}`);
  const able = others.filter((each) => each.features !== undefined && lacks(each).length === 0);
  const evidence = `${uses}; ${to} lacks ${some(own)}${beside}`;
  const hint =
    able.length === 0
      ? 'Give the cluster an EVC mode, and shut the guest down and start it there.'
      : `These hosts have all of them: ${some(able.map(({ name }) => name))}.`;
  return warning(evidence, hint);
}
