import { startGuest } from '../lab/guest/start.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import { median, onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { blackoutWords, godwitMigrate } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, withLab } from './lab.ts';

const GUEST = 'web1';
const MIB = 1024 ** 2;
const DEFAULT_RUNS = 5;
/** Faster than two processors fill it by the wire, so that what is queued on the way is the wire's own. */
const LINK = { linkBytesPerSecond: 125_000_000 };
/** Pages that the guest needs at once, and many that it needs later. */
const LOAD = { memoryBytes: 768 * MIB, workingSetBytes: 384 * MIB, dirtyBytesPerSecond: 16 * MIB };
const PROBE_MS = 2;
const WARM_UP_MS = 2000;
const SETTLE_MS = 120_000;
const PATHS = ['native', 'wire'] as const;
type Path = (typeof PATHS)[number];

interface MoveResult {
  readonly clientGapMs: number;
  /** As QEMU counts it at the destination. */
  readonly waitedMs: number;
  readonly totalMs: number;
}

export const postcopy: Bench = {
  name: 'postcopy',
  summary:
    'how long a guest waits for its memory in post-copy, over the wire against natively [--only]',
  run: (options) => withLab(options, (lab) => compare(lab, options), LINK),
};

async function compare(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say, runs = DEFAULT_RUNS } = options;
  const only = onlyOf(options, PATHS);
  const guest = await startGuest(lab, { name: GUEST, host: 'a', ...LOAD, signal });
  const moved: Record<Path, MoveResult[]> = { native: [], wire: [] };
  let host = 'a';
  for (let run = 0; run < runs; run += 1) {
    for (const path of run % 2 === 0 ? PATHS : PATHS.toReversed()) {
      if (only !== undefined && !only.includes(path)) continue;
      const to = otherHost(lab, host);
      await untilQuiet(lab, signal);
      const client = await openProbe(lab, GUEST, { intervalMs: PROBE_MS, signal });
      await untilDirtied(lab, guest, WARM_UP_MS, signal);
      await client.mark();
      const words = ['--path', path];
      const { report } = await godwitMigrate(
        lab,
        { guest: GUEST, to, mode: 'postcopy', words },
        signal,
      );
      const seen = await client.settle(SETTLE_MS, signal);
      if (!seen.connectionKept)
        throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
      await client.stop();
      host = to;
      const { postcopyWaitedMs: waitedMs, totalMs, blackoutMs = Number.NaN } = report;
      if (waitedMs === undefined) throw new Error('the report does not say how long it waited');
      moved[path].push({ clientGapMs: seen.clientGapMs, waitedMs, totalMs });
      const gap = `client gap ${seen.clientGapMs.toFixed(0)} ms`;
      say(
        `${path.padEnd(7)}${gap}, waited ${waitedMs} ms, blackout ${blackoutMs} ms (${blackoutWords(report)}), total ${totalMs} ms`,
      );
    }
  }
  const { ok } = await verifyGuest(lab, GUEST, { signal });
  if (!ok) throw new Error('the guest’s memory is not what it was');
  return measures(moved);
}

function measures(moved: Readonly<Record<Path, readonly MoveResult[]>>): Measure[] {
  const of = (path: Path, value: (each: MoveResult) => number): number =>
    median(moved[path].map(value));
  const each = (name: string, value: (each: MoveResult) => number): Measure[] =>
    PATHS.filter((path) => moved[path].length > 0).map((path) => ({
      name: `${name}, ${path}`,
      value: of(path, value),
      unit: 'ms',
      runs: moved[path].length,
    }));
  const gapOf = ({ clientGapMs }: MoveResult): number => clientGapMs;
  const runs = moved.wire.length;
  const isBoth = runs > 0 && moved.native.length > 0;
  // A median of nothing is an error.
  const ratio = (): Measure => ({
    name: 'client gap, wire / native',
    value: of('wire', gapOf) / of('native', gapOf),
    unit: 'x',
    runs,
    target: { atMost: 1.2 },
  });
  return [
    ...(isBoth ? [ratio()] : []),
    ...each('client gap', gapOf),
    ...each('waited for memory', ({ waitedMs }) => waitedMs),
    ...each('total time', ({ totalMs }) => totalMs),
  ];
}
