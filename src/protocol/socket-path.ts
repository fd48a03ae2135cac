import { godwitError } from '../errors.ts';

/** The kernel's room for the path of a unix socket, bytes, without the zero at its end. */
export const MAX_SOCKET_PATH = 107;

/** GODWIT_PATH_LONG where no unix socket can have that path: what would make one fails obscurely, or cuts it. Pure. */
export function checkSocketPath(file: string, hint?: string): void {
  const bytes = new TextEncoder().encode(file).length;
  if (bytes <= MAX_SOCKET_PATH) return;
  const facts = { path: file.slice(0, 4096), bytes, limit: MAX_SOCKET_PATH };
  throw godwitError('GODWIT_PATH_LONG', facts, hint === undefined ? {} : { hint });
}

/** The longest name of a socket that Godwit makes: in a guest's directory, and in that of a migration. */
const LONGEST = { guests: 'godwit-resume.sock', migrations: 'compare.sock' } as const;

/** Ids that Godwit makes itself have as many characters for the next two thousand years. */
const ID = 'm-0123456789abcde';

/**
 * GODWIT_PATH_LONG where the sockets of a migration, or of a guest that comes, would have no room below `stateDir`: said
 * before anything begins. Pure.
 */
export function checkSocketsBelow(
  stateDir: string,
  of: { readonly id?: string; readonly guest?: string },
): void {
  const { id = ID, guest } = of;
  checkSocketPath(`${stateDir}/migrations/${id}/${LONGEST.migrations}`);
  if (guest !== undefined) checkSocketPath(`${stateDir}/guests/${guest}/${LONGEST.guests}`);
}
