import type { DrainOptions, LinkFactors } from './drain/drain-options.ts';
import { shareOut } from './flow.ts';
import type { Problem } from './timetable.ts';

const NEWEST = 0.2;
/** Load above which a link counts as full; below, its capacity stays unknown. */
const FULL = 0.98;
const MIN = 0.2;
const MAX = 2;

/**
 * Link rates learned from running moves: if they fill a link by the estimate, their sum is its real rate. `problem`:
 * the running moves with the present estimate.
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
