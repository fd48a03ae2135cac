import { godwitError, type GodwitError } from '../errors.ts';
import { passes, refuses, warns } from '../migration/preflight/finding.ts';
import type { Check } from '../protocol/public/migration.ts';

/** Checks on a guest that a manager moves; their names are not in the table of checks. Pure. */

export function managerPass(name: string, side: Check['side'], evidence: string): Check {
  return { name, side, ...passes(evidence) };
}

export function managerWarn(
  name: string,
  side: Check['side'],
  evidence: string,
  hint: string,
): Check {
  return { name, side, ...warns(evidence, hint) };
}

export function managerRefusal(name: string, side: Check['side'], error: GodwitError): Check {
  return { name, side, ...refuses(error) };
}

/** Refuses a guest whose state its manager cannot move. */
export function managerState(guest: string, state: string, isMovable: boolean): Check {
  if (isMovable) return managerPass('state', 'source', `${guest} is ${state}`);
  return managerRefusal('state', 'source', godwitError('GODWIT_GUEST_STATE', { guest, state }));
}
