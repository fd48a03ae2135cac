import type { AgentConfig } from '../../../config.ts';
import type { Admission } from '../../../protocol/peer/migration.ts';
import { knownPart, type KnownAnswer, type KnownQuestion } from '../../../protocol/wire.ts';

/** Content of this host's cache that the wire would report to that source, under its terms and this host's scope. */
export async function answerKnown(
  config: AgentConfig,
  { guest, from }: Pick<Admission, 'guest' | 'from'>,
  { tags, ...terms }: KnownQuestion,
): Promise<KnownAnswer> {
  const { cacheToRead } = await import('../../../host/wire.ts');
  const cache = cacheToRead(config, guest, terms, from);
  if (cache === undefined) return {};
  const { tellKnown } = await import('../../../wire/cache/known.ts');
  const found = await tellKnown(cache, tags);
  if (found === undefined) return {};
  const { tag, parts, summary } = found;
  return { known: knownPart.parse({ tag, parts, summary: summary.toString('base64') }) };
}
