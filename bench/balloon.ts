import { startGuest } from '../lab/guest/start.ts';
import { fillMemory, verifyGuest } from '../lab/guest/talk.ts';
import type { Lab } from '../lab/state.ts';
import { formatBytes, formatDuration } from '../src/protocol/quantity.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilQuiet, withLab } from './lab.ts';

const MIB = 1024 ** 2;
const GUEST = 'web1';
const DEFAULT_RUNS = 3;
/** What the guest reads of its disk, and so has in its page cache. */
const CACHED = 128 * MIB;
/** What it wrote and gave back: free pages that hold something. */
const GIVEN_BACK = 128 * MIB;
const MEMORY = 512 * MIB;
const WORKING_SET = 32 * MIB;

export const WAYS = ['none', 'free', 'available'] as const;
type Way = (typeof WAYS)[number];
const WORDS: Readonly<Record<Way, readonly string[]>> = {
  none: [],
  free: ['--balloon', 'free'],
  available: ['--balloon', 'available'],
};

/** What one move came to. */
export interface MoveResult {
  readonly bytes: number;
  readonly totalMs: number;
  readonly takenBytes: number;
}

export const balloon: Bench = {
  name: 'balloon',
  summary: 'what --balloon saves of a guest whose page cache and free pages hold something',
  run: (options) =>
    withLab(options, (lab) => compare(lab, options), { linkBytesPerSecond: 125_000_000 }),
};

/** To and fro, each way in turn; the guest fills its memory anew before each move. */
async function compare(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say, runs = DEFAULT_RUNS } = options;
  const disks = [{ bytes: CACHED, thin: false, filledBytes: CACHED }];
  const memory = { memoryBytes: MEMORY, workingSetBytes: WORKING_SET };
  await startGuest(lab, {
    name: GUEST,
    host: 'a',
    ...memory,
    disks,
    diskBytesPerSecond: 0,
    signal,
  });
  const moved: Record<Way, MoveResult[]> = { none: [], free: [], available: [] };
  let at = 'a';
  for (let run = 0; run < runs; run += 1) {
    for (const way of WAYS) {
      const found = await fillMemory(lab, GUEST, GIVEN_BACK, { signal });
      if (found.cachedBytes < CACHED / 2)
        throw new Error(`the guest’s page cache has ${formatBytes(found.cachedBytes)} alone`);
      const to = otherHost(lab, at);
      const { report } = await godwitMigrate(lab, { guest: GUEST, to, words: WORDS[way] }, signal);
      const { takenBytes = 0, leftBytes = 0 } = report.balloon ?? {};
      const one = { bytes: report.bytes ?? 0, totalMs: report.totalMs, takenBytes };
      at = to;
      const cache = `${formatBytes(found.cachedBytes)} in its page cache, ${formatBytes(found.freeBytes)} free`;
      const took = `took ${formatBytes(takenBytes)}, left ${formatBytes(leftBytes)}`;
      say(
        `${way.padEnd(10)}${cache}: sent ${formatBytes(one.bytes)} in ${formatDuration(one.totalMs)}, ${took}`,
      );
      moved[way].push(one);
      await untilQuiet(lab, signal);
    }
  }
  const { ok } = await verifyGuest(lab, GUEST, { signal });
  if (!ok) throw new Error('the guest’s memory is not what it was');
  return measures(moved);
}

/** What each way sent, and what the balloon spared beside the move without one. */
export function measures(moved: Readonly<Record<Way, readonly MoveResult[]>>): Measure[] {
  const of = (way: Way, value: (one: MoveResult) => number): number =>
    median(moved[way].map(value));
  const mib = (one: MoveResult): number => one.bytes / MIB;
  const words = (way: Way): string => (way === 'none' ? 'without' : `--balloon ${way}`);
  const each = WAYS.flatMap((way): Measure[] => {
    const runs = moved[way].length;
    return [
      { name: `sent, ${words(way)}`, value: of(way, mib), unit: 'MiB', runs },
      { name: `total, ${words(way)}`, value: of(way, ({ totalMs }) => totalMs), unit: 'ms', runs },
    ];
  });
  const more = WAYS.filter((way) => way !== 'none').flatMap((way): Measure[] => {
    const runs = moved[way].length;
    const share = of(way, mib) / of('none', mib);
    const taken = of(way, ({ takenBytes }) => takenBytes) / MIB;
    return [
      { name: `sent, ${words(way)} / without`, value: share, unit: 'x', runs },
      { name: `taken, ${words(way)}`, value: taken, unit: 'MiB', runs },
    ];
  });
  return [...each, ...more];
}
