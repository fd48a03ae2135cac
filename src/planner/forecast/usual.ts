/** Days without which a time of day says nothing. */
const MIN_DAYS = 3;

/**
 * What each guest asks for at one hour of the day, as the mean of what it used in that hour of each earlier day, in any
 * order. A guest that fewer than three of the days show is left out.
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
