import { hostChecks } from '../../../migration/preflight/judge.ts';
import type { HostsFacts } from '../../../migration/preflight/hosts.ts';
import type { HostFacts } from '../../../protocol/peer/host-facts.ts';
import type { Check } from '../../../protocol/public/migration.ts';

/** An older destination says nothing about itself. */
type Reported = Omit<HostsFacts, 'destination'> & { readonly destination: HostFacts | undefined };

/**
 * The checks that need both hosts' word of themselves; none where the destination gives no word. The source's own clock
 * is the one of the question: its facts were read before.
 */
export function checksOfHosts({ destination, ...facts }: Reported): Check[] {
  return destination === undefined ? [] : hostChecks({ ...facts, destination });
}
