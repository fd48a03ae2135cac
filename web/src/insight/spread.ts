/** How amounts of many migrations are spread, for a person to see. Pure. */
import type { Distribution } from '../../../src/protocol/controller/history.ts';

/** The amount that this share of them does not exceed; undefined where it was not reported. */
export function quantile({ quantiles }: Distribution, share: number): number | undefined {
  return quantiles.find((each) => each.share === share)?.amount;
}

/**
 * Where an amount lies over the bars, 0..1, from the first one's left to the last one's right. Bars are of one width each,
 * whatever their bins hold: those of amounts that spread far grow.
 */
export function placeOf({ bins }: Pick<Distribution, 'bins'>, amount: number): number {
  const index = bins.findIndex(({ to }) => amount < to);
  const bin = bins[index];
  if (bin === undefined) return 1;
  const within = bin.to > bin.from ? (amount - bin.from) / (bin.to - bin.from) : 0;
  return (index + Math.min(1, Math.max(0, within))) / bins.length;
}

/** The bars' heights, 0..1; a bin that is not empty is seen. */
export function heightsOf({ bins }: Pick<Distribution, 'bins'>): number[] {
  const most = Math.max(1, ...bins.map(({ count }) => count));
  return bins.map(({ count }) => (count === 0 ? 0 : Math.max(0.02, count / most)));
}

/** The days that a page looks back, as its address says them; 30 where it says none. */
export const SPANS = [1, 7, 30, 90, 365] as const;
export function daysIn(text: string | null): number {
  return SPANS.find((each) => String(each) === text) ?? 30;
}

/** `+12 %`, `−3 %`: an error of a prediction. */
export function errorText(error: number): string {
  const percent = Math.round(error * 100);
  if (percent === 0) return '0 %';
  return `${percent > 0 ? '+' : '−'}${Math.abs(percent)} %`;
}
