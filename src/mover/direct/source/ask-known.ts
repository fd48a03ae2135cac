import type { AgentConfig } from '../../../config.ts';
import { cacheToRead, termsFor } from '../../../host/wire.ts';
import type { Knows } from '../../../host/memory-sample/pages.ts';
import { defined } from '../../../protocol/defined.ts';
import { DEFAULT_LINK_GRACE_MS } from '../../../protocol/public/migration.ts';
import type { KnownAnswer, KnownQuestion } from '../../../protocol/wire.ts';
import { circlesOf } from '../../../wire/cache/circles.ts';
import { knownBy } from '../../../wire/cache/known.ts';

/**
 * Content of the destination's cache for this guest over the wire. Undefined if it does not report it: an earlier
 * build, or no shared cache. Never rejects.
 */
export async function askKnown(
  config: AgentConfig,
  { guest, to }: { readonly guest: string; readonly to: string },
  ask: (question: KnownQuestion) => Promise<KnownAnswer>,
): Knows {
  const { sharing, tenant } = termsFor(config, guest, DEFAULT_LINK_GRACE_MS);
  const terms = { sharing, ...defined({ tenant }) };
  const cache = cacheToRead(config, guest, terms, to);
  if (cache === undefined) return undefined;
  try {
    const tags = circlesOf(cache).map(({ scope }) => scope.tag);
    const { known } = await ask({ ...terms, tags });
    if (known === undefined) return undefined;
    return knownBy(cache, { ...known, summary: Buffer.from(known.summary, 'base64') });
  } catch {
    return undefined;
  }
}
