import { godwitError } from '../../errors.ts';
import { parseDuration } from '../../protocol/quantity.ts';

/** Parses a typed moment: a duration from now, or a time of this machine's clock. Pure. */

/** `01:00-05:00` -> the present or next window, wall clock, ms. GODWIT_USAGE lists the accepted forms. */
export function windowOf(text: string, nowMs: number): { fromMs: number; untilMs: number } {
  const [from = '', until = '', ...more] = text.split('-');
  const isClock = (part: string): boolean => /^([01]?\d|2[0-3]):[0-5]\d$/.test(part);
  if (!isClock(from) || !isClock(until) || more.length > 0 || from === until) {
    const what = `--window: "${text.slice(0, 40)}" is no window`;
    throw godwitError('GODWIT_USAGE', { what }, { hint: 'Give two times of day: 01:00-05:00.' });
  }
  const fromMs = momentOf('--window', from, nowMs);
  const nextEndMs = momentOf('--window', until, nowMs);
  // The window ends before its next start, so it is open now.
  if (nextEndMs < fromMs) return { fromMs: nowMs, untilMs: nextEndMs };
  return { fromMs, untilMs: momentOf('--window', until, fromMs) };
}

/**
 * `5m`, `18:00` (the next one), or a moment such as 2026-05-01T18:00Z -> wall clock, ms. GODWIT_USAGE lists the
 * accepted forms.
 */
export function momentOf(name: string, text: string, nowMs: number): number {
  const clock = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text);
  if (clock !== null) {
    const at = new Date(nowMs);
    at.setHours(Number(clock[1]), Number(clock[2]), 0, 0);
    // The calendar handles days of 23 or 25 hours.
    if (at.getTime() <= nowMs) at.setDate(at.getDate() + 1);
    return at.getTime();
  }
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?$/.test(text)) {
    const at = Date.parse(text);
    if (Number.isFinite(at)) return at;
  }
  try {
    return nowMs + parseDuration(text);
  } catch (error) {
    throw godwitError(
      'GODWIT_USAGE',
      { what: `${name}: "${text.slice(0, 40)}" is no time` },
      {
        hint: 'Give a duration (5m), a time of day (18:00) or a moment (2026-05-01T18:00Z).',
        cause: error,
      },
    );
  }
}
