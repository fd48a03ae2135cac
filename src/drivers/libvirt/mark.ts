import { z } from 'zod';
import { migrationId } from '../../protocol/names.ts';
import type { MetadataPlace } from './client.ts';
import { escapeXml, parseXml } from '../../formats/xml.ts';

/**
 * Godwit's mark in a domain's metadata during a migration: libvirt has no task names, and the metadata moves
 * with the guest. Pure.
 */
export const MARK: MetadataPlace = { key: 'godwit', uri: 'urn:godwit:migration:1' };

/** Longest message of libvirt, characters. */
const MAX_WORDS = 2048;

const mark = z.object({
  id: migrationId,
  /** `sent`: a job of the domain belongs to this migration, and its outcome is unknown. */
  state: z.enum(['sent', 'failed', 'cancelled']),
  reason: z.string().max(4096).default(''),
  /** The guest starts with its host, as in the source's definition. */
  autostart: z.enum(['yes', 'no']).default('no'),
  /** It has a persistent definition, which moves with it. Absent in a mark of the build before. */
  persistent: z.enum(['yes', 'no']).default('no'),
  /** A second copy was found at the destination and must be ended; it ran there, or only waited. */
  second: z.enum(['ran', 'waited']).optional(),
  /** The destination already had a definition, which this migration must not remove. */
  defined: z.enum(['yes', 'no']).default('yes'),
});
export type Mark = z.infer<typeof mark>;

export function markElement(mark: Mark): string {
  const { id, state, reason, autostart, persistent, defined, second } = mark;
  const known = { id, state, reason, autostart, persistent, defined };
  const words = { ...known, ...(second === undefined ? {} : { second }) };
  const all = Object.entries(words).map(
    ([name, value]) => `${name}="${escapeXml(value.slice(0, MAX_WORDS))}"`,
  );
  return `<migration ${all.join(' ')}/>`;
}

/** Undefined if it is not Godwit's mark: anyone who may change a domain may write there. */
export function parseMark(element: string | undefined): Mark | undefined {
  if (element === undefined) return undefined;
  const root = parseXml(element);
  return root === undefined ? undefined : mark.safeParse(root.attributes).data;
}
