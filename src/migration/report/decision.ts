import type { Report } from '../../protocol/public/migration.ts';
import type { SteeringRecord } from '../../protocol/public/steering.ts';
import { DECISION_WORDS } from '../steering/steering.ts';

/** A decision of the steering, as a journal has it. Pure. */
interface Decided extends SteeringRecord {
  readonly what: keyof typeof DECISION_WORDS;
  readonly why: string;
}

/** As a report has it. */
export function decisionOf(
  { what, why, rule, inputs, change, hint }: Decided,
  atMs: number,
): Report['decisions'][number] {
  return {
    atMs,
    what: `${DECISION_WORDS[what]}: ${why}`,
    ...(rule === undefined ? {} : { rule }),
    ...(inputs === undefined ? {} : { inputs }),
    ...(change === undefined ? {} : { change }),
    ...(hint === undefined ? {} : { hint }),
  };
}
