import { godwitError, type GodwitError } from '../errors.ts';

/** Product version; protocol versions change more rarely. */
export const PRODUCT_VERSION = '0.1.0';

/** Supported protocol versions, best first. */
export const PROTOCOL_VERSIONS: readonly number[] = [1];

export const PROTOCOL_HEADER = 'godwit-protocol';

/** The highest common version, or the refusal with both lists. */
export function selectVersion(
  peer: string,
  theirs: readonly number[],
  ours: readonly number[] = PROTOCOL_VERSIONS,
): { ok: true; version: number } | { ok: false; error: GodwitError } {
  const shared = ours.filter((version) => theirs.includes(version));
  if (shared.length > 0) return { ok: true, version: Math.max(...shared) };
  const error = godwitError('GODWIT_PROTOCOL_VERSION', {
    peer,
    theirs: theirs.join(', ') || 'none',
    ours: ours.join(', '),
  });
  return { ok: false, error };
}
