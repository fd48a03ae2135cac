import { systemClock } from '../src/clock.ts';
import type { HostFacts } from '../src/protocol/peer/host-facts.ts';
import { PRODUCT_VERSION } from '../src/protocol/version.ts';

/** What a simulated host reports of itself: nothing of the machine on which the simulation runs, which answers when it likes. */
export function hostFactsOf(name: string): () => Promise<HostFacts> {
  return async () => ({ name, version: PRODUCT_VERSION, wallMs: systemClock.wallMs(), hooks: [] });
}
