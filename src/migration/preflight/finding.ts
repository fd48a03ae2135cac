import type { GodwitError } from '../../errors.ts';
import type { Check } from '../../protocol/public/migration.ts';

/** A judge's result; the table of checks adds name and side. */
export type Finding = Pick<Check, 'verdict' | 'evidence' | 'hint' | 'error'>;

const MAX_WORDS = 4096;

export function passes(evidence: string): Finding {
  return { verdict: 'pass', evidence: evidence.slice(0, MAX_WORDS) };
}

export function warns(evidence: string, hint: string): Finding {
  return { verdict: 'warn', evidence: evidence.slice(0, MAX_WORDS), hint };
}

export function refuses(error: GodwitError, evidence = error.message): Finding {
  return {
    verdict: 'refuse',
    evidence: evidence.slice(0, MAX_WORDS),
    error: error.toJSON(),
  };
}
