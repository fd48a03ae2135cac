import type { SamplePoint } from '../../../src/protocol/controller/fleet.ts';

/** A time after which a new point is missing, so that a chart breaks there instead of drawing over it. */
const GAP_MS = { sample: 45_000, minute: 150_000, hour: 2.5 * 3_600_000 } as const;
export type Span = keyof typeof GAP_MS;

export interface Columns {
  /** s since 1970. */
  readonly x: readonly number[];
  /** Of each measure one value for each x; null where it was not reported. */
  readonly of: (measure: string) => (number | null)[];
}

/** Samples as columns for a chart, with a hole where the host was not heard of. Pure. */
export function columnsOf(points: readonly SamplePoint[], span: Span): Columns {
  const times: number[] = [];
  const rows: (SamplePoint | undefined)[] = [];
  for (const point of points) {
    const atMs = Date.parse(point.at);
    const before = times.at(-1);
    if (before !== undefined && atMs - before * 1000 > GAP_MS[span]) {
      times.push(before + 1);
      rows.push(undefined);
    }
    times.push(atMs / 1000);
    rows.push(point);
  }
  return { x: times, of: (measure) => rows.map((row) => row?.mean[measure] ?? null) };
}
