import { z } from 'zod';
import { schemaAt } from '../../protocol/schema-at.ts';

/** Describes a contract's objection to a typed value in the typed unit. Pure. */

/** `must be 1ms to 60s`; zod's message if the value is not a bounded number. */
export function wrongValue(schema: z.ZodType, issue: z.core.$ZodIssue): string {
  const field = String(issue.path.at(-1) ?? '');
  const isBound = issue.code === 'too_small' || issue.code === 'too_big';
  if (isBound && issue.origin === 'array') {
    const most = issue.code === 'too_big';
    return most
      ? `at most ${issue.maximum} may be given`
      : `at least ${issue.minimum} must be given`;
  }
  const at = isBound ? schemaAt(schema, issue.path) : undefined;
  if (!(at instanceof z.ZodNumber)) return issue.message.replace(/^Invalid input: /, '');
  const { minValue, maxValue } = at;
  if (minValue === null) return issue.message;
  const least = typed(field, minValue);
  const isOpen = maxValue === null || maxValue >= Number.MAX_SAFE_INTEGER;
  return isOpen ? `must be at least ${least}` : `must be ${least} to ${typed(field, maxValue)}`;
}

/** A number as typed: fields ending in `Ms` are durations, `maxBandwidth` is a rate. */
function typed(field: string, value: number): string {
  if (field === 'maxBandwidth') return value % 1024 === 0 ? `${value / 1024}KiB/s` : `${value}B/s`;
  return field.endsWith('Ms') ? typedDuration(value) : String(value);
}

/** `1ms`, `60s`, `2m`, `24h`: one number and one unit. */
function typedDuration(ms: number): string {
  if (ms > 0 && ms % 3_600_000 === 0) return `${ms / 3_600_000}h`;
  if (ms > 60_000 && ms % 60_000 === 0) return `${ms / 60_000}m`;
  return ms > 0 && ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`;
}
