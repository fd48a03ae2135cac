import type { GodwitError } from '../../errors.ts';
import * as finding from '../../migration/preflight/finding.ts';
import type { Check } from '../../protocol/public/migration.ts';

/** Checks of a guest that a manager moves: their names are not those of the table. Pure. */

export function passes(name: string, side: Check['side'], evidence: string): Check {
  return { name, side, ...finding.passes(evidence) };
}

export function warns(name: string, side: Check['side'], evidence: string, hint: string): Check {
  return { name, side, ...finding.warns(evidence, hint) };
}

export function refuses(name: string, side: Check['side'], error: GodwitError): Check {
  return { name, side, ...finding.refuses(error) };
}
