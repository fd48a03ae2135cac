import { defined } from '../../protocol/defined.ts';
import type { Report } from '../../protocol/public/migration.ts';
import type { SteeringRecord } from '../../protocol/public/steering.ts';
import { formatRate } from '../../protocol/quantity.ts';
import { DECISION_WORDS } from '../steering/steering.ts';

interface SteeringDecision extends SteeringRecord {
  readonly what: keyof typeof DECISION_WORDS;
  readonly why: string;
}

/** Limit of `decisions` in protocol/public/migration.ts. */
const MAX_DECISIONS = 1000;

/** Drops the middle of a long list, with a count: the first and last decisions explain the end. */
export function boundedDecisions(all: Report['decisions']): Report['decisions'] {
  if (all.length <= MAX_DECISIONS) return [...all];
  const first = all.slice(0, MAX_DECISIONS / 2);
  const last = all.slice(first.length + 1 - MAX_DECISIONS);
  const leftOut = all.length - first.length - last.length;
  const { atMs = 0 } = all[first.length] ?? {};
  return [...first, { atMs, what: `${leftOut} decisions are left out here` }, ...last];
}

export function decisionOf(
  { what, why, rule, inputs, change, hint }: SteeringDecision,
  atMs: number,
): Report['decisions'][number] {
  return {
    atMs,
    what: `${DECISION_WORDS[what]}: ${why}`,
    ...defined({ rule, inputs, change, hint }),
  };
}

/** Host's cap for this time of day, bytes/s; 0: none. */
export function cappedWords(bytesPerS: number, host = 'its host'): string {
  const cap = bytesPerS === 0 ? 'no cap' : `at most ${formatRate(bytesPerS)}`;
  return `bandwidth: ${cap} by the time of day of ${host}`;
}
