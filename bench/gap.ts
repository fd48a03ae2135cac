import { startGuest } from '../src/lab/guest/start.ts';
import { verifyGuest } from '../src/lab/guest/talk.ts';
import { networkLacks } from '../src/lab/network-lacks.ts';
import { LAB_NETWORKS } from '../src/lab/plan.ts';
import type { LabNetwork } from '../src/lab/plan.ts';
import { openProbe } from '../src/lab/probe/probe.ts';
import type { Lab } from '../src/lab/state.ts';
import { median } from './contract.ts';
import type { Bench, BenchOptions, Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, withLab } from './lab.ts';

const MIB = 1024 ** 2;
const DEFAULT_RUNS = 11;
const LINK_BYTES_PER_SECOND = 125_000_000;
const LOAD = { memoryBytes: 192 * MIB, workingSetBytes: 32 * MIB, dirtyBytesPerSecond: 2 * MIB };
const DISK = { bytes: 256 * MIB, thin: false, filledBytes: 64 * MIB };
const MAX_DOWNTIME = ['--max-downtime', '20ms'];
const PROBE_MS = 2;
const WARM_UP_MS = 1000;
const SETTLE_MS = 60_000;

/** One guest has a disk, the other none; else they are alike. */
const GUESTS = { disk: 'db1', memory: 'web1' } as const;
export type Kind = keyof typeof GUESTS;

export const gap: Bench = {
  name: 'gap',
  summary: 'what a disk that is copied adds to the client gap, in each network kind [--only]',
  run: async (options) => {
    const only = options.words?.only?.split(',');
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
      const request = { network, storage: 'local', linkBytesPerSecond } as const;
      const gaps = await withLab(options, (lab) => measure(lab, network, options), request);
      measures.push(...gapMeasures(network, gaps));
    }
    return measures;
  },
};

async function measure(
  lab: Lab,
  network: LabNetwork,
  options: BenchOptions,
): Promise<Record<Kind, number[]>> {
  const { signal, say } = options;
  const common = { ...LOAD, host: 'a', signal };
  await startGuest(lab, { ...common, name: GUESTS.disk, disks: [DISK] });
  await startGuest(lab, { ...common, name: GUESTS.memory });
  const gaps: Record<Kind, number[]> = { disk: [], memory: [] };
  let from = 'a';
  // The first of each only warms caches up.
  for (let run = 0; run <= (options.runs ?? DEFAULT_RUNS); run += 1) {
    const to = otherHost(lab, from);
    const order: Kind[] = run % 2 === 0 ? ['disk', 'memory'] : ['memory', 'disk'];
    for (const kind of order) {
      const gapMs = await move(lab, GUESTS[kind], to, signal);
      say(`${network.padEnd(7)}${kind.padEnd(7)}client gap ${gapMs.toFixed(0)} ms`);
      if (run > 0) gaps[kind].push(gapMs);
    }
    from = to;
  }
  return gaps;
}

async function move(lab: Lab, guest: string, to: string, signal: AbortSignal): Promise<number> {
  await untilQuiet(lab, signal);
  // A connection for each move: its window shrinks with every loss, until one that is longer than it would stall.
  const client = await openProbe(lab, guest, { intervalMs: PROBE_MS, signal });
  await untilDirtied(lab, { name: guest, ...LOAD }, WARM_UP_MS, signal);
  await client.mark();
  await godwitMigrate(lab, { guest, to, words: MAX_DOWNTIME }, signal);
  const seen = await client.settle(SETTLE_MS, signal);
  await client.stop();
  if (!seen.connectionKept) throw new Error(`the client's connection broke: ${seen.reason ?? ''}`);
  const { ok } = await verifyGuest(lab, guest, { signal });
  if (!ok) throw new Error(`the memory or the disk of ${guest} is not what it was`);
  return seen.clientGapMs;
}

/** The medians, and what the disk's is above the bound of 1.2 times memory's. Pure. */
export function gapMeasures(
  network: string,
  { disk, memory }: Readonly<Record<Kind, readonly number[]>>,
): Measure[] {
  const runs = disk.length;
  const [both, alone] = [median(disk), median(memory)];
  const told = (what: string, value: number): Measure => {
    return { name: `${network}: ${what}`, value, unit: 'ms', runs };
  };
  return [
    {
      ...told('client gap with a disk, more than 1.2 x of memory alone', both - 1.2 * alone),
      target: { atMost: 20 },
    },
    told('client gap, memory and disk', both),
    told('client gap, memory alone', alone),
  ];
}
