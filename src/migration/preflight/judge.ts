import type { Check } from '../../protocol/public/migration.ts';
import type { AdmissionFacts } from './admission.ts';
import type { Finding } from './finding.ts';
import type { AskFacts } from './guest.ts';
import type { HostsFacts } from './hosts.ts';
import { CHECKS } from './table.ts';

export function askChecks(facts: AskFacts): Check[] {
  return CHECKS.flatMap((row) => (row.step === 'ask' ? named(row, row.judge(facts)) : []));
}

export function admissionChecks(facts: AdmissionFacts): Check[] {
  return CHECKS.flatMap((row) =>
    row.step === 'admit' && row.needs === 'destination' ? named(row, row.judge(facts)) : [],
  );
}

export function hostChecks(facts: HostsFacts): Check[] {
  return CHECKS.flatMap((row) =>
    row.step === 'admit' && row.needs === 'both' && 'judge' in row
      ? named(row, row.judge(facts))
      : [],
  );
}

function named(
  { name, needs: side }: { readonly name: string; readonly needs: Check['side'] },
  findings: readonly Finding[],
): Check[] {
  return findings.map((finding) => ({ name, side, ...finding }));
}

/** Replaces the checks of that name. A check that was not tried stays. */
export function judgedAgain(
  checks: readonly Check[],
  name: string,
  findings: readonly Finding[],
): Check[] {
  const before = checks.find((each) => each.name === name);
  if (before === undefined || before.notTried === true) return [...checks];
  const again = named({ name, needs: before.side }, findings);
  return checks.flatMap((each) => (each === before ? again : each.name === name ? [] : [each]));
}

const PLACES: ReadonlyMap<string, number> = new Map(CHECKS.map(({ name }, at) => [name, at]));

/** Order of the table; equal names keep their order, and unknown names come last. */
export function inOrder(checks: readonly Check[]): Check[] {
  const place = ({ name }: Check): number => PLACES.get(name) ?? CHECKS.length;
  return checks.toSorted((left, right) => place(left) - place(right));
}
