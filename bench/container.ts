import { systemClock } from '../src/clock.ts';
import { withDeadline } from '../src/deadline.ts';
import { runCommand } from '../lab/command.ts';
import { startContainer } from '../lab/container/start.ts';
import { readGuestStats, verifyGuest } from '../lab/guest/talk.ts';
import { portNames } from '../lab/network-plan.ts';
import { namespaceOf } from '../lab/plan.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import { moveContainerByHand } from './container-by-hand.ts';
import { median, onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { untilQuiet, withLab } from './lab.ts';

const MIB = 1024 ** 2;
const PAGE = 4096;
const DEFAULT_RUNS = 9;
const LINK = { linkBytesPerSecond: 125_000_000 };
const PROBE_MS = 2;
const WARM_UP_MS = 3000;
const LOADED_MS = 60_000;
const SETTLE_MS = 120_000;
const MOVE_MS = 600_000;
/** How far the load may be from what it is said to be. */
const LOAD_SHARE = 0.2;

const LOADS = {
  small: { staticBytes: 192 * MIB, dirtyBytes: 64 * MIB, pagesPerSecond: 200 },
  large: { staticBytes: 768 * MIB, dirtyBytes: 256 * MIB, pagesPerSecond: 2000 },
} as const;
type LoadName = keyof typeof LOADS;
const LOAD_NAMES: readonly LoadName[] = ['small', 'large'];

/** By hand first: when Godwit moves its container, others of the image are at the destination. */
const SIDES = ['pages', 'copy', 'godwit'] as const;
export type Side = (typeof SIDES)[number];

/** What one move came to. */
export interface MoveResult {
  readonly totalMs: number;
  readonly clientGapMs: number;
  /** What left the source for the other host. */
  readonly bytes: number;
  /** What it had written since its move before was over: no less can be sent, since these bytes are random. */
  readonly writtenBytes: number;
  /** `first`: it had never been there. */
  readonly way: 'first' | 'there' | 'back';
}

export const container: Bench = {
  name: 'container',
  summary: 'a container moved by Godwit, against runc and CRIU by hand [--only small,large]',
  run: async (options) => {
    const only = onlyOf(options, LOAD_NAMES);
    const measures: Measure[] = [];
    for (const load of LOAD_NAMES) {
      if (only !== undefined && !only.includes(load)) continue;
      const request = { ...LINK, containers: true };
      const moved = await withLab(options, (lab) => compare(lab, load, options), request);
      measures.push(...containerMeasures(load, moved));
    }
    return measures;
  },
};

async function compare(
  lab: Lab,
  load: LoadName,
  options: BenchOptions,
): Promise<Record<Side, MoveResult[]>> {
  const { pagesPerSecond, ...sizes } = LOADS[load];
  const dirtyBytesPerSecond = pagesPerSecond * PAGE;
  for (const name of SIDES)
    await startContainer(lab, { name, host: 'a', ...sizes, dirtyBytesPerSecond });
  const moved: Record<Side, MoveResult[]> = { pages: [], copy: [], godwit: [] };
  const before: Record<Side, number> = { pages: 0, copy: 0, godwit: 0 };
  // The first there and back warms caches up: only what its first way sent counts, to a host that nobody has been on.
  for (let run = 0; run <= (options.runs ?? DEFAULT_RUNS); run += 1) {
    for (const [from, to] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      for (const side of SIDES) {
        const rate = await untilLoaded(lab, side, dirtyBytesPerSecond, options.signal);
        const went = await move(lab, { side, from, to }, options.signal);
        const { dirtiedBytes } = await readGuestStats(lab, side, { signal: options.signal });
        const result = { ...went, writtenBytes: dirtiedBytes - before[side] };
        before[side] = dirtiedBytes;
        const { totalMs, clientGapMs, bytes, writtenBytes } = result;
        options.say(
          `${load.padEnd(6)}${side.padEnd(7)}${from} to ${to}: total ${totalMs.toFixed(0)} ms, client gap ${clientGapMs.toFixed(0)} ms, ${(bytes / MIB).toFixed(1)} MiB, wrote ${(writtenBytes / MIB).toFixed(1)} MiB since its last move, dirtied ${(rate / PAGE).toFixed(0)} pages/s${run === 0 ? '  (warming up)' : ''}`,
        );
        const isFirst = run === 0 && to === 'b';
        if (run > 0 || isFirst) moved[side].push(isFirst ? { ...result, way: 'first' } : result);
      }
    }
  }
  return moved;
}

/** Waits until the container writes as fast as it is said to; rejects where it does not come to that. */
async function untilLoaded(
  lab: Lab,
  guest: string,
  wanted: number,
  signal: AbortSignal,
): Promise<number> {
  const what = `${guest} to dirty ${wanted} bytes/s`;
  return withDeadline(what, LOADED_MS, signal, async (inner) => {
    for (;;) {
      const rate = await dirtyRate(lab, guest, inner);
      if (Math.abs(rate - wanted) <= LOAD_SHARE * wanted) return rate;
    }
  });
}

/** Over a moment, bytes/s. */
async function dirtyRate(lab: Lab, guest: string, signal: AbortSignal): Promise<number> {
  const [before, start] = [await readGuestStats(lab, guest, { signal }), systemClock.monotonicMs()];
  await systemClock.sleep(WARM_UP_MS, signal);
  const after = await readGuestStats(lab, guest, { signal });
  return ((after.dirtiedBytes - before.dirtiedBytes) / (systemClock.monotonicMs() - start)) * 1000;
}

async function move(
  lab: Lab,
  { side, from, to }: { readonly side: Side; readonly from: string; readonly to: string },
  signal: AbortSignal,
): Promise<Omit<MoveResult, 'writtenBytes'>> {
  await untilQuiet(lab, signal);
  const client = await openProbe(lab, side, { intervalMs: PROBE_MS, signal });
  await client.mark();
  const before = await sentFrom(lab, from);
  const totalMs =
    side === 'godwit'
      ? (await godwitMigrate(lab, { guest: side, to, deadlineMs: MOVE_MS }, signal)).report.totalMs
      : await moveContainerByHand({ lab, guest: side, from, to, way: side, signal });
  const bytes = (await sentFrom(lab, from)) - before;
  const seen = await client.settle(SETTLE_MS, signal);
  await client.stop();
  if (!seen.connectionKept) throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
  const { ok } = await verifyGuest(lab, side, { signal });
  if (!ok) throw new Error(`the memory of ${side} is not what it was`);
  return { totalMs, clientGapMs: seen.clientGapMs, bytes, way: to === 'a' ? 'back' : 'there' };
}

/** Bytes that a host has sent to others, without what clients of its guests get, as the switch counts them. */
async function sentFrom(lab: Lab, host: string): Promise<number> {
  const { port } = portNames(host);
  const file = `/sys/class/net/${port}/statistics/rx_bytes`;
  const namespace = namespaceOf(lab.name, 'switch');
  return Number(await runCommand(['ip', 'netns', 'exec', namespace, 'cat', file]));
}

/** Medians, and Godwit's beside the better one by hand. Pure. */
export function containerMeasures(
  load: string,
  moved: Readonly<Record<Side, readonly MoveResult[]>>,
): Measure[] {
  const those = (side: Side, way?: MoveResult['way']): readonly MoveResult[] =>
    moved[side].filter((each) => (way === undefined ? each.way !== 'first' : each.way === way));
  const of = (side: Side, value: (each: MoveResult) => number, way?: MoveResult['way']): number =>
    median(those(side, way).map(value));
  const best = (value: (each: MoveResult) => number, way?: MoveResult['way']): number =>
    Math.min(of('pages', value, way), of('copy', value, way));
  const ratio = (
    what: string,
    value: (each: MoveResult) => number,
    atMost: number,
    way?: MoveResult['way'],
  ): Measure => ({
    name: `${load}: ${what}, Godwit / the better by hand`,
    value: of('godwit', value, way) / best(value, way),
    unit: 'x',
    runs: those('godwit', way).length,
    target: { atMost },
  });
  const shown = (what: string, value: (each: MoveResult) => number, unit: string): Measure[] =>
    SIDES.map((side) => ({
      name: `${load}: ${what}, ${side}`,
      value: of(side, value),
      unit,
      runs: those(side).length,
    }));
  const mib = ({ bytes }: MoveResult): number => bytes / MIB;
  return [
    ratio('total', ({ totalMs }) => totalMs, 0.9),
    ratio('client gap', ({ clientGapMs }) => clientGapMs, 0.5),
    ratio('bytes on return', mib, 0.05, 'back'),
    ratio('bytes of its first way there, with others of its image there', mib, 0.5, 'first'),
    ...shown('total', ({ totalMs }) => totalMs, 'ms'),
    ...shown('client gap', ({ clientGapMs }) => clientGapMs, 'ms'),
    ...shown('sent', mib, 'MiB'),
    {
      name: `${load}: written by godwit's container while it was away`,
      value: of('godwit', ({ writtenBytes }) => writtenBytes / MIB, 'back'),
      unit: 'MiB',
      runs: those('godwit', 'back').length,
    },
  ];
}
