import { startGuest } from '../lab/guest/start.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import { networkLacks } from '../lab/network-lacks.ts';
import { LAB_NETWORKS, type LabNetwork } from '../lab/plan.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import { median, onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { blackoutWords, godwitMigrate } from './godwit.ts';
import { untilDirtied, untilQuiet, withLab } from './lab.ts';

const MIB = 1024 ** 2;
const DEFAULT_RUNS = 11;
const LINK_BYTES_PER_SECOND = 125_000_000;
const LOAD = { memoryBytes: 192 * MIB, workingSetBytes: 32 * MIB, dirtyBytesPerSecond: 2 * MIB };
const DISK = { bytes: 256 * MIB, thin: false, filledBytes: 64 * MIB };
const MAX_DOWNTIME = ['--max-downtime', '20ms'];
const PROBE_MS = 2;
const WARM_UP_MS = 1000;
const SETTLE_MS = 60_000;

/** The same guest twice: in one lab its disk lies on the host's own storage and is copied, in the other on a shared one. */
export type Kind = 'disk' | 'memory';
const GUESTS: Readonly<Record<Kind, string>> = { disk: 'db1', memory: 'web1' };

export const gap: Bench = {
  name: 'gap',
  summary: 'what copying its disk adds to a guest’s client gap, in each network kind [--only]',
  run: async (options) => {
    const only = onlyOf(options, LAB_NETWORKS);
    const measures: Measure[] = [];
    for (const network of LAB_NETWORKS) {
      if (only !== undefined && !only.includes(network)) continue;
      const lacking = await networkLacks(network);
      if (lacking !== undefined) {
        // Who asked for it by name is not to be answered with nothing.
        if (only !== undefined) throw lacking;
        options.say(`${network.padEnd(7)}left out: ${lacking.message}`);
        continue;
      }
      const linkBytesPerSecond = LINK_BYTES_PER_SECOND;
      const request = { network, linkBytesPerSecond };
      const gaps = await withLab(
        options,
        (disk) =>
          withLab(options, (memory) => measure({ disk, memory }, network, options), {
            ...request,
            storage: 'shared',
            suffix: '-s',
          }),
        { ...request, storage: 'local' },
      );
      measures.push(...gapMeasures(network, gaps));
    }
    return measures;
  },
};

async function measure(
  labs: Readonly<Record<Kind, Lab>>,
  network: LabNetwork,
  options: BenchOptions,
): Promise<Record<Kind, number[]>> {
  const { signal, say } = options;
  for (const kind of ['disk', 'memory'] as const) {
    const request = { ...LOAD, host: 'a', name: GUESTS[kind], disks: [DISK], signal };
    await startGuest(labs[kind], request);
  }
  const gaps: Record<Kind, number[]> = { disk: [], memory: [] };
  let [from, to] = ['a', 'b'];
  // The first of each only warms caches up.
  for (let run = 0; run <= (options.runs ?? DEFAULT_RUNS); run += 1) {
    const order: Kind[] = run % 2 === 0 ? ['disk', 'memory'] : ['memory', 'disk'];
    for (const kind of order) {
      const { gapMs, blackout } = await move(labs[kind], GUESTS[kind], to, signal);
      say(`${network.padEnd(7)}${kind.padEnd(7)}client gap ${gapMs.toFixed(0)} ms: ${blackout}`);
      if (run > 0) gaps[kind].push(gapMs);
    }
    [from, to] = [to, from];
  }
  return gaps;
}

interface MoveResult {
  readonly gapMs: number;
  /** Where it went, as the report says. */
  readonly blackout: string;
}

async function move(lab: Lab, guest: string, to: string, signal: AbortSignal): Promise<MoveResult> {
  await untilQuiet(lab, signal);
  // A connection for each move: its window shrinks with every loss, until one that is longer than it would stall.
  const client = await openProbe(lab, guest, { intervalMs: PROBE_MS, signal });
  await untilDirtied(lab, { name: guest, ...LOAD }, WARM_UP_MS, signal);
  await client.mark();
  const { report } = await godwitMigrate(lab, { guest, to, words: MAX_DOWNTIME }, signal);
  const seen = await client.settle(SETTLE_MS, signal);
  await client.stop();
  if (!seen.connectionKept) throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
  const { ok } = await verifyGuest(lab, guest, { signal });
  if (!ok) throw new Error(`the memory or the disk of ${guest} is not what it was`);
  return { gapMs: seen.clientGapMs, blackout: blackoutWords(report) };
}

/** The medians, and what the disk's is above the bound of 1.2 times memory's. Pure. */
export function gapMeasures(
  network: string,
  { disk, memory }: Readonly<Record<Kind, readonly number[]>>,
): Measure[] {
  const runs = disk.length;
  const [both, alone] = [median(disk), median(memory)];
  const reported = (what: string, value: number): Measure => {
    return { name: `${network}: ${what}`, value, unit: 'ms', runs };
  };
  return [
    {
      ...reported('client gap with a disk, more than 1.2 x of memory alone', both - 1.2 * alone),
      target: { atMost: 20 },
    },
    reported('client gap, memory and disk', both),
    reported('client gap, memory alone', alone),
  ];
}
