import type { DrainOptions, LinkFactors } from './drain/drain-options.ts';
import { shareOut } from './flow.ts';
import type { Problem } from './timetable.ts';

/** The part of the newest look in what is believed of a link. */
const NEWEST = 0.2;
/** A link that the model does not see full says nothing of what it could carry. */
const FULL = 0.98;
const MIN = 0.2;
const MAX = 2;

/**
 * What the links carry, learned from the moves that run: where they would fill a link by what is believed of it, what
 * they come to together is what it carries. `problem`: of the moves that run, with what is believed so far.
 */
export function learned(
  { moves, capacity, names }: Problem,
  { running = [], linkFactors = {} }: DrainOptions,
  nameOfGuest: (index: number) => string | undefined,
): LinkFactors {
  const rates = new Map(running.map(({ guest, bytesPerSecond }) => [guest, bytesPerSecond]));
  const seen = moves.map(({ index }) => rates.get(nameOfGuest(index) ?? ''));
  const flowing = moves
    .filter((_, place) => (seen[place] ?? 0) > 0)
    .map(({ index, resources, most }) => ({ index, resources, most, rate: 0 }));
  shareOut(flowing, capacity);
  const factors: Record<string, number> = { ...linkFactors };
  for (const [resource, carries] of capacity.entries()) {
    const through = flowing.filter(({ resources }) => resources.includes(resource));
    const expected = through.reduce((sum, { rate }) => sum + rate, 0);
    if (expected < carries * FULL) continue;
    const came = through.reduce((sum, { index }) => sum + (seen[index] ?? 0), 0);
    const name = names[resource] ?? '';
    const factor = linkFactors[name] ?? 1;
    const next = factor * (1 + NEWEST * (came / carries - 1));
    factors[name] = Math.min(MAX, Math.max(MIN, next));
  }
  return factors;
}
