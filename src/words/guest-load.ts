import type { GuestLoad, GuestRates, LoadHour } from '../protocol/public/hosts/guest-load.ts';
import { formatRate } from '../protocol/quantity.ts';

/** Times are UTC. */
export function loadPairs({ now, busiest, quietest }: GuestLoad): [string, string][] {
  const pairs: [string, string][] = [];
  if (now !== undefined) pairs.push(['load', ratesText(now)]);
  if (busiest !== undefined) pairs.push(['busiest hour', hourText(busiest)]);
  if (quietest !== undefined) pairs.push(['quietest hour', hourText(quietest)]);
  return pairs;
}

function hourText(hour: LoadHour): string {
  const [day = '', time = ''] = hour.from.split('T');
  return `${day} ${time.slice(0, 5)} UTC: ${ratesText(hour)}`;
}

function ratesText(rates: GuestRates): string {
  const { cores, readBytesPerS, writtenBytesPerS, inBytesPerS, outBytesPerS } = rates;
  const parts = [
    ['reads', readBytesPerS],
    ['writes', writtenBytesPerS],
    ['receives', inBytesPerS],
    ['sends', outBytesPerS],
  ] as const;
  const flows = parts.flatMap(([name, rate]) =>
    rate === undefined ? [] : [`${name} ${formatRate(rate)}`],
  );
  return [`${cores.toFixed(2)} processors`, ...flows].join(', ');
}
