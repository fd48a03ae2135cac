import { hostChecks } from '../../../migration/preflight/judge.ts';
import { judgeSiteCheck } from '../../../migration/preflight/hosts.ts';
import type { HostsFacts } from '../../../migration/preflight/hosts.ts';
import type { HostFacts } from '../../../protocol/peer/host-facts.ts';
import type { Check } from '../../../protocol/public/migration.ts';

/** An older destination says nothing about itself. */
type Reported = Omit<HostsFacts, 'destination'> & {
  /** The destination's name. */
  readonly to: string;
  readonly destination: HostFacts | undefined;
};

/**
 * The checks that need both hosts' reports of themselves; without the destination's report, only those that must not be
 * left out. The source's own clock is the one of the question: its facts were read before.
 */
export function checksOfHosts({ to, destination, ...facts }: Reported): Check[] {
  if (destination !== undefined) return hostChecks({ ...facts, destination });
  // What it would leave out without a word.
  const { siteCheck } = facts;
  const findings = judgeSiteCheck({ destination: { name: to }, siteCheck });
  return findings.map((finding) => ({ name: 'site-check', side: 'both', ...finding }));
}
