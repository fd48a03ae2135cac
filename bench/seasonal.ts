/** Made loads with days and weeks in them, since the recorded days are single ones. */
export interface MadeLoad {
  readonly name: string;
  /** Shares of the guest's size, one for each 5 minutes. */
  readonly samples: readonly number[];
}

const PER_DAY = 288;

/**
 * Guests over so many days, alike for the same numbers from `random` (0 to 1): a level, a working day with a peak at an
 * hour of its own, quieter weekends, noise that lasts, and now and then a burst.
 */
export function madeLoads(guests: number, days: number, random: () => number): MadeLoad[] {
  return Array.from({ length: guests }, (_, index) => ({
    name: `made-${index}`,
    samples: oneGuest(days, random),
  }));
}

function oneGuest(days: number, random: () => number): number[] {
  const level = 0.05 + 0.2 * random();
  const peak = 0.4 * random();
  const hour = 8 + 8 * random();
  const weekend = 0.3 + 0.5 * random();
  const noise = 0.02 + 0.06 * random();
  const samples: number[] = [];
  let drift = 0;
  let burst = 0;
  for (let at = 0; at < days * PER_DAY; at += 1) {
    const time = ((at % PER_DAY) * 24) / PER_DAY;
    const day = Math.floor(at / PER_DAY) % 7;
    const distance = Math.min(Math.abs(time - hour), 24 - Math.abs(time - hour));
    const work = Math.exp(-((distance / 3) ** 2)) * (day >= 5 ? weekend : 1);
    drift = 0.95 * drift + noise * 0.3 * normal(random);
    if (burst > 0) burst -= 1;
    else if (random() < 0.002) burst = 6;
    const value = level + peak * work + drift + (burst > 0 ? 0.3 : 0);
    samples.push(Math.min(1, Math.max(0, value)));
  }
  return samples;
}

/** Box and Muller. */
function normal(random: () => number): number {
  return Math.sqrt(-2 * Math.log(Math.max(random(), 1e-12))) * Math.cos(2 * Math.PI * random());
}
