import { godwitError } from '../errors.ts';

/** The kernel's limit for a Unix socket's path, bytes, without the final zero. */
export const MAX_SOCKET_PATH = 107;

/** GODWIT_PATH_LONG for a longer path: `bind` would fail obscurely or cut it. Pure. */
export function checkSocketPath(file: string, hint?: string): void {
  const bytes = new TextEncoder().encode(file).length;
  if (bytes <= MAX_SOCKET_PATH) return;
  const facts = { path: file.slice(0, 4096), bytes, limit: MAX_SOCKET_PATH };
  throw godwitError('GODWIT_PATH_LONG', facts, hint === undefined ? {} : { hint });
}

/** Godwit's longest socket names: in a guest's directory, and in a migration's. */
const LONGEST = { guests: 'godwit-resume.sock', migrations: 'compare.sock' } as const;

/** Length of Godwit's own ids for the next two thousand years. */
const ID = 'm-0123456789abcde';

/**
 * GODWIT_PATH_LONG if `stateDir` is too long for the sockets of a migration or an arriving guest; called before
 * anything begins. Pure.
 */
export function checkSocketsBelow(
  stateDir: string,
  of: { readonly id?: string; readonly guest?: string },
): void {
  const { id = ID, guest } = of;
  checkSocketPath(`${stateDir}/migrations/${id}/${LONGEST.migrations}`);
  if (guest !== undefined) checkSocketPath(`${stateDir}/guests/${guest}/${LONGEST.guests}`);
}
