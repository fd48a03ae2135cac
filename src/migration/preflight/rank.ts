import type { CheckedHost } from '../../protocol/public/check.ts';
import type { Check } from '../../protocol/public/migration.ts';

const BAD = { pass: 0, warn: 1, refuse: 2 } as const;

export function verdictOf(checks: readonly Pick<Check, 'verdict'>[]): Check['verdict'] {
  const worst = checks.toSorted((left, right) => BAD[right.verdict] - BAD[left.verdict])[0];
  return worst?.verdict ?? 'pass';
}

/** Fewest refusals first, then fewest warnings, then by name. */
export function bestFirst(hosts: readonly CheckedHost[]): CheckedHost[] {
  const count = ({ checks }: CheckedHost, verdict: Check['verdict']): number =>
    checks.filter((check) => check.verdict === verdict).length;
  const by = (verdict: Check['verdict'], left: CheckedHost, right: CheckedHost): number =>
    count(left, verdict) - count(right, verdict);
  return hosts.toSorted(
    (left, right) =>
      by('refuse', left, right) ||
      by('warn', left, right) ||
      (left.to < right.to ? -1 : Number(left.to > right.to)),
  );
}
