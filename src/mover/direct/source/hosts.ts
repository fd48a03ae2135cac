import { hostChecks } from '../../../migration/preflight/judge.ts';
import type { HostFacts } from '../../../protocol/peer/host-facts.ts';
import type { Check } from '../../../protocol/public/migration.ts';

/**
 * The checks that need both hosts' word of themselves. An older destination gives none, and then there are none. The
 * source's own clock is the one of the question: its facts were read before.
 */
export function checksOfHosts(
  source: HostFacts,
  destination: HostFacts | undefined,
  askedMs: number,
  answeredMs: number,
  roundTripMs?: number,
): Check[] {
  if (destination === undefined) return [];
  return hostChecks({ source, destination, askedMs, answeredMs, roundTripMs });
}
