import { godwitError } from '../../errors.ts';
import { managedFacts, MAX_CHECKS, type ManagedFacts } from '../../migration/managed/events.ts';
import { whatIsWrong } from '../../protocol/errors.ts';
import type { Check } from '../../protocol/public/migration.ts';
import { refuseOn } from '../engine/refused-by-checks.ts';

/** What the journal can hold: an answer beyond that ends the step, and not the mover. Throws where a check refuses. */
export function acceptedFacts(facts: ManagedFacts): ManagedFacts {
  const against = (each: Check): boolean => each.verdict === 'refuse';
  const all = facts.checks ?? [];
  // Where there are too many, those that refuse are kept.
  const sorted =
    all.length <= MAX_CHECKS
      ? all
      : all.toSorted((a, b) => Number(against(b)) - Number(against(a)));
  const checked = managedFacts.safeParse({ ...facts, checks: sorted.slice(0, MAX_CHECKS) });
  if (!checked.success) {
    const what = whatIsWrong(checked.error);
    const expected = 'what a guest is and what is against its move';
    throw godwitError('GODWIT_PROTOCOL_INVALID', { peer: 'the manager', expected, what });
  }
  refuseOn(checked.data.checks ?? []);
  return checked.data;
}
