/** Days required for a daily pattern. */
const MIN_DAYS = 3;

/**
 * Mean of each guest's use at one hour of the day over earlier days, in any order. Leaves out guests seen on fewer than
 * three days.
 */
export function usualOf(days: readonly ReadonlyMap<string, number>[]): Map<string, number> {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const day of days) {
    for (const [guest, used] of day) {
      const { sum, count } = sums.get(guest) ?? { sum: 0, count: 0 };
      sums.set(guest, { sum: sum + used, count: count + 1 });
    }
  }
  const known = [...sums].filter(([, { count }]) => count >= MIN_DAYS);
  return new Map(known.map(([guest, { sum, count }]) => [guest, sum / count]));
}
