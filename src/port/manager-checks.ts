import type { GodwitError } from '../errors.ts';
import { passes, refuses, warns } from '../migration/preflight/finding.ts';
import type { Check } from '../protocol/public/migration.ts';

/** Checks of a guest that a manager moves: their names are not those of the table. Pure. */

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
