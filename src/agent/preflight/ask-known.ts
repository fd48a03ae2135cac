import { cacheToRead, termsFor } from '../../host/wire.ts';
import type { Knows } from '../../host/memory-sample/pages.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../protocol/public/migration.ts';
import { circlesOf } from '../../wire/cache/circles.ts';
import { knownBy } from '../../wire/cache/known.ts';
import { admissionOf, WIRE_PORTS } from './examine.ts';
import type { Examining } from './examine.ts';

/** The guest is looked at for three seconds of these; a plan waits for the rest only where the destination is slow, ms. */
const KNOWN_MS = 6000;

/**
 * What the destination would tell of its cache if the guest went there by the wire. Undefined where it does not tell: it is
 * of an earlier build, lets the guest not in, or shares no cache with this host. Never rejects: a plan does without it.
 */
export async function askKnown(asked: Examining, signal: AbortSignal): Knows {
  const { config, request, guest, peers } = asked;
  // A container's memory goes by no wire.
  if (request.mode === 'cold' || guest.capabilities.rounds === 'content') return undefined;
  const { sharing, tenant } = termsFor(config, request.guest, DEFAULT_LINK_GRACE_MS);
  const terms = { sharing, ...(tenant === undefined ? {} : { tenant }) };
  const cache = cacheToRead(config, request.guest, terms, request.to);
  if (cache === undefined) return undefined;
  try {
    const tags = circlesOf(cache).map(({ scope }) => scope.tag);
    const admission = await admissionOf(asked, signal);
    const body = { admission, ports: WIRE_PORTS, cache: { ...terms, tags } };
    const { known } = await peers
      .preflight(request.to)
      .preflightKnown({ body }, { signal, deadlineMs: KNOWN_MS });
    if (known === undefined) return undefined;
    return knownBy(cache, { ...known, summary: Buffer.from(known.summary, 'base64') });
  } catch {
    return undefined;
  }
}
