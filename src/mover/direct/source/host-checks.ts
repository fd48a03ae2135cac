import { judgeGivesBack } from '../../../migration/preflight/balloon.ts';
import { hostChecks } from '../../../migration/preflight/judge.ts';
import {
  judgeSiteCheck,
  judgeTransport,
  type HostsFacts,
} from '../../../migration/preflight/hosts.ts';
import type { Finding } from '../../../migration/preflight/finding.ts';
import type { CheckName } from '../../../migration/preflight/table.ts';
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
  const { siteCheck, source, transport, balloon } = facts;
  const unsaid = { name: to };
  const named = (name: CheckName, findings: readonly Finding[]): Check[] =>
    findings.map((finding) => ({ name, side: 'both', ...finding }));
  return [
    ...named('transport', judgeTransport({ source, destination: unsaid, transport })),
    ...named('gives-back', judgeGivesBack({ destination: unsaid, balloon })),
    ...named('site-check', judgeSiteCheck({ destination: unsaid, siteCheck })),
  ];
}
