import { GodwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { passes, refuses, warns } from './finding.ts';
import type { CheckName } from './table.ts';

/** A check of the table. A check of the other host may have another name. */
export type NamedCheck = Check & { readonly name: CheckName };

export function pass(
  name: CheckName,
  evidence: string,
  side: Check['side'] = 'source',
): NamedCheck {
  return { name, side, ...passes(evidence) };
}

export function warn(
  name: CheckName,
  evidence: string,
  hint: string,
  side: Check['side'] = 'source',
): NamedCheck {
  return { name, side, ...warns(evidence, hint) };
}

export function refusal(
  name: CheckName,
  error: GodwitError,
  side: Check['side'] = 'source',
): NamedCheck {
  return { name, side, ...refuses(error) };
}

export function throwRefusal(checks: readonly Pick<Check, 'error'>[]): void {
  const refused = checks.find(({ error }) => error !== undefined)?.error;
  if (refused !== undefined) throw new GodwitError(refused);
}
