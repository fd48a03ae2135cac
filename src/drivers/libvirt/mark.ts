import { z } from 'zod';
import { migrationId } from '../../protocol/names.ts';
import type { MetadataPlace } from './client.ts';
import { escapeXml, parseXml } from '../../formats/xml.ts';

/**
 * What Godwit leaves in a domain's metadata for as long as a migration of it lasts: libvirt has no name for a task, and takes
 * the metadata along with the guest. Pure.
 */
export const MARK: MetadataPlace = { key: 'godwit', uri: 'urn:godwit:migration:1' };

/** Of libvirt's own words, characters. */
const MAX_WORDS = 2048;

const mark = z.object({
  id: migrationId,
  /** Where it is `sent`, a job of the domain is this migration's, and libvirt has not said how it ended. */
  state: z.enum(['sent', 'failed', 'cancelled']),
  /** In libvirt's words, of one that failed. */
  reason: z.string().max(4096).default(''),
  /** The guest is started with its host, as its definition at the source had it. */
  autostart: z.enum(['yes', 'no']).default('no'),
  /** It has a definition that lasts, and goes along. A mark of the build before does not say. */
  persistent: z.enum(['yes', 'no']).default('no'),
  /** A second copy of it was found at the destination, to be ended: it ran there, or only waited. */
  second: z.enum(['ran', 'waited']).optional(),
  /** The destination had a definition of it before, which is not this migration's to remove. */
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

/** Undefined for what is no mark of Godwit's: whoever may change a domain may write there. */
export function parseMark(element: string | undefined): Mark | undefined {
  if (element === undefined) return undefined;
  const root = parseXml(element);
  return root === undefined ? undefined : mark.safeParse(root.attributes).data;
}
