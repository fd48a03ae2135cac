import { systemClock } from '../src/clock.ts';
import { libvirtSection, virsh } from '../src/lab/libvirt/daemon.ts';
import { domainStates, startDomain, stopDomain } from '../src/lab/libvirt/guest.ts';
import { openProbe } from '../src/lab/probe/probe.ts';
import type { Lab } from '../src/lab/state.ts';
import { median } from './contract.ts';
import type { Bench, BenchOptions, Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { otherHost, untilDirtied, untilQuiet, withLab } from './lab.ts';
import { schedule } from './overhead.ts';

const GUEST = 'web1';
const MIB = 1024 ** 2;
const LAB = { manager: 'libvirt', linkBytesPerSecond: 125_000_000 } as const;
const LOAD = { memoryBytes: 512 * MIB, workingSetBytes: 128 * MIB, dirtyBytesPerSecond: 4 * MIB };
const DEFAULT_RUNS = 7;
const MAX_DOWNTIME_MS = 20;
const PROBE_MS = 2;
const WARM_UP_MS = 2000;
const SETTLE_MS = 30_000;
const MOVE_MS = 180_000;
/** An emulated guest of QEMU 7.2 may hang or start anew, whoever moves it; more than these, and nothing is measured. */
const MOST_LOST = 6;

type Side = 'godwit' | 'hand';

/** What one move came to, ms. */
interface Moved {
  /** By the one who ordered it: Godwit's report, or how long virsh took. */
  readonly totalMs: number;
  /** By libvirt's own account of its job. */
  readonly jobMs: number;
  readonly clientGapMs: number;
}

interface Compared {
  readonly moved: Readonly<Record<Side, Moved[]>>;
  /** Guests whose client lost its connection. */
  readonly lost: Record<Side, number>;
}

export const libvirt: Bench = {
  name: 'libvirt',
  summary: 'a guest of libvirt by Godwit against `virsh migrate --live --p2p`',
  run: (options) => withLab(options, (lab) => compare(lab, options), LAB),
};

async function compare(lab: Lab, options: BenchOptions): Promise<Measure[]> {
  const { signal, say } = options;
  const pairs = options.runs ?? DEFAULT_RUNS;
  const { moved, lost }: Compared = {
    moved: { godwit: [], hand: [] },
    lost: { godwit: 0, hand: 0 },
  };
  let guest = await startDomain(lab, { name: GUEST, host: 'a', ...LOAD, signal });
  // The first move of each side only warms caches up.
  const sides = schedule(pairs + 1);
  for (let index = 0; index < sides.length;) {
    const side = sides[index] ?? 'godwit';
    await untilQuiet(lab, signal);
    const [found] = await domainStates(lab, GUEST);
    const from = found?.host ?? 'a';
    const client = await openProbe(lab, GUEST, { intervalMs: PROBE_MS, signal });
    try {
      await untilDirtied(lab, guest, WARM_UP_MS, signal);
      await client.mark();
      const times = await MOVES[side](lab, { from, to: otherHost(lab, from) }, signal);
      const { connectionKept, clientGapMs } = await client.settle(SETTLE_MS, signal);
      if (!connectionKept) throw new LostGuest();
      const result = { ...times, clientGapMs };
      say(`${side.padEnd(7)}${describe(result)}${index < 2 ? '  (warming up)' : ''}`);
      if (index >= 2) moved[side].push(result);
      index += 1;
    } catch (thrown) {
      signal.throwIfAborted();
      lost[side] += 1;
      say(`${side.padEnd(7)}the guest is lost: ${thrown instanceof Error ? thrown.message : ''}`);
      if (lost.godwit + lost.hand > MOST_LOST) throw thrown;
      await stopDomain(lab, GUEST);
      guest = await startDomain(lab, { name: GUEST, host: 'a', ...LOAD, signal });
    } finally {
      await client.stop();
    }
  }
  return measures({ moved, lost });
}

class LostGuest extends Error {
  override readonly message = 'its client has no connection any more';
}

interface Way {
  readonly from: string;
  readonly to: string;
}
type Times = Omit<Moved, 'clientGapMs'>;

const MOVES: Readonly<Record<Side, (lab: Lab, way: Way, signal: AbortSignal) => Promise<Times>>> = {
  godwit: async (lab, { to }, signal) => {
    const words = ['--max-downtime', `${MAX_DOWNTIME_MS}ms`];
    const { report } = await godwitMigrate(lab, { guest: GUEST, to, words }, signal);
    return { totalMs: report.totalMs, jobMs: await jobMs(lab, to) };
  },
  /** The same flags, limits and certificates. */
  hand: async (lab, { from, to }) => {
    const { hosts } = libvirtSection(lab, from) as { hosts: Record<string, { uri: string }> };
    const flags = ['--live', '--p2p', '--tls', '--persistent', '--undefinesource'];
    await virsh(lab, from, ['migrate-setmaxdowntime', GUEST, String(MAX_DOWNTIME_MS)]);
    const begun = systemClock.monotonicMs();
    const words = ['migrate', ...flags, GUEST, hosts[to]?.uri ?? ''];
    await virsh(lab, from, words, { deadlineMs: MOVE_MS });
    return { totalMs: systemClock.monotonicMs() - begun, jobMs: await jobMs(lab, to) };
  },
};

async function jobMs(lab: Lab, host: string): Promise<number> {
  const text = await virsh(lab, host, ['domjobinfo', GUEST, '--completed', '--keep-completed']);
  return Number(/^Time elapsed:\s+(\d+)/m.exec(text)?.[1] ?? Number.NaN);
}

function describe({ totalMs, jobMs: job, clientGapMs }: Moved): string {
  const ms = (value: number): string => `${value.toFixed(0).padStart(5)} ms`;
  return `total ${ms(totalMs)}, libvirt's job ${ms(job)}, client gap ${ms(clientGapMs)}`;
}

/** Both sides' medians, what Godwit adds, and whose guests were lost. */
export function measures({ moved, lost }: Compared): Measure[] {
  const { godwit, hand } = moved;
  const runs = godwit.length;
  const of = (side: readonly Moved[], value: (each: Moved) => number): number =>
    median(side.map(value));
  const ms = (name: string, value: (each: Moved) => number): Measure[] => [
    { name: `${name}, Godwit`, value: of(godwit, value), unit: 'ms', runs },
    { name: `${name}, virsh`, value: of(hand, value), unit: 'ms', runs },
  ];
  const [total, job] = [totalOf, jobOf].map((value) => of(godwit, value) / of(hand, value));
  const gap = of(godwit, gapOf) - of(hand, gapOf);
  const target = { atMost: 1.08 };
  return [
    { name: 'total time, Godwit / virsh', value: total ?? Number.NaN, unit: 'x', runs, target },
    { name: 'libvirt’s job, Godwit / virsh', value: job ?? Number.NaN, unit: 'x', runs },
    { name: 'client gap, Godwit - virsh', value: gap, unit: 'ms', runs, target: { atMost: 5 } },
    ...ms('total time', totalOf),
    ...ms('libvirt’s job', jobOf),
    ...ms('client gap', gapOf),
    { name: 'guests lost, Godwit', value: lost.godwit, unit: '', runs },
    { name: 'guests lost, virsh', value: lost.hand, unit: '', runs },
  ];
}

const totalOf = ({ totalMs }: Moved): number => totalMs;
const jobOf = ({ jobMs: job }: Moved): number => job;
const gapOf = ({ clientGapMs }: Moved): number => clientGapMs;
