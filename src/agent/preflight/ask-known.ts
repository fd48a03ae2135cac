import type { Knows } from '../../host/memory-sample/pages.ts';
import { askKnown } from '../../mover/direct/source/ask-known.ts';
import { admissionOf, WIRE_PORTS, type Examining } from './examine.ts';

/** The guest is looked at for three seconds of these; a plan waits for the rest only where the destination is slow, ms. */
const KNOWN_MS = 6000;

/** Of the destination's agent, before there is a migration. Also undefined where it lets the guest not in. Never rejects. */
export async function askAgentKnown(asked: Examining, signal: AbortSignal): Knows {
  const { config, request, guest, peers } = asked;
  // A container's memory goes by no wire.
  if (request.mode === 'cold' || guest.capabilities.rounds === 'content') return undefined;
  return askKnown(config, request, async (cache) => {
    const body = { admission: await admissionOf(asked, signal), ports: WIRE_PORTS, cache };
    return peers.preflight(request.to).preflightKnown({ body }, { signal, deadlineMs: KNOWN_MS });
  });
}
