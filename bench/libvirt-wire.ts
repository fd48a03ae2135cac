import { verifyGuest } from '../lab/guest/talk.ts';
import { virsh } from '../lab/libvirt/daemon.ts';
import { stopDomain } from '../lab/libvirt/guest.ts';
import { openProbe } from '../lab/probe/probe.ts';
import type { Lab } from '../lab/state.ts';
import { median, onlyOf, type BenchOptions, type Measure } from './contract.ts';
import { godwitMigrate } from './godwit.ts';
import { untilQuiet, withLab } from './lab.ts';
import { byVirsh, gapOf, jobMs, packagesOf } from './libvirt-moves.ts';
import { makeMixes, startMixedGuest, type Mixes } from './wire-guest.ts';
import { assertDirties, CACHE_BYTES, forgetAll, MAX_DOWNTIME_MS, sentBytes } from './wire-move.ts';
import { placesOf, type LinkSetting } from './wire-places.ts';

/** The table of the wire's benchmark for guests of libvirt: against what virsh does alone, and with libvirt's compression. */

const DEFAULT_RUNS = 5;
const MOVE_MS = 600_000;
const VERIFY_MS = 60_000;
const SCENES = ['cold', 'second', 'return'];

/** One of libvirt's own ways to send, as virsh is asked for it. */
export interface HandWay {
  readonly name: string;
  readonly flags: readonly string[];
}

const FOUR = ['--parallel', '--parallel-connections', '4'];
const zstd = (level: number): HandWay => ({
  name: `parallel 4, zstd ${level}`,
  flags: [...FOUR, '--compressed', '--comp-methods', 'zstd', '--comp-zstd-level', String(level)],
});
const ALWAYS: readonly HandWay[] = [
  { name: 'plain', flags: [] },
  { name: 'parallel 4', flags: FOUR },
  { name: 'xbzrle', flags: ['--compressed', '--comp-methods', 'xbzrle'] },
];
/** libvirt has zstd since 9.4; QEMU lost its older threads that compress in 9.1. */
const OLDER: readonly HandWay[] = [
  { name: 'mt', flags: ['--compressed', '--comp-methods', 'mt', '--comp-mt-level', '1'] },
];
const NEWER = [1, 3, 9].map(zstd);
const HAND = [...ALWAYS, ...OLDER, ...NEWER];

/** What one move came to. */
export interface MoveResult {
  /** By the one who ordered it: Godwit's report, or how long virsh took. */
  readonly totalMs: number;
  /** By libvirt's own account of its job. */
  readonly jobMs: number;
  /** What the source's migration link sent meanwhile. */
  readonly linkBytes: number;
  /** Absent where the guest, or its client, was lost. */
  readonly clientGapMs?: number;
}

type Results = Map<string, MoveResult[]>;

export async function wireTable(options: BenchOptions): Promise<Measure[]> {
  const managerPackages = await packagesOf(options);
  const ways = [...ALWAYS, ...(managerPackages === undefined ? OLDER : NEWER)];
  const names = [...ways.map(({ name }) => name), ...SCENES];
  // A name of a way has a comma of its own.
  onlyOf(options, [...new Set(names.flatMap((name) => name.split(', ')))]);
  const all: Measure[] = [];
  for (const place of placesOf(options)) {
    const { linkBytesPerSecond, delayMs, memoryBytes } = place;
    const { dirtyBytesPerSecond: bytesPerSecond, rewriteOf } = place;
    const mixes = await makeMixes(memoryBytes, { bytesPerSecond, rewriteOf });
    const request = {
      manager: 'libvirt',
      managerPackages,
      linkBytesPerSecond,
      delayMs,
      configure: () => ({
        cache: { scope: 'host' as const, bytes: CACHE_BYTES },
        wire: { rates: { a: linkBytesPerSecond, b: linkBytesPerSecond } },
      }),
    } as const;
    try {
      const compare = (lab: Lab) => new World(lab, place, mixes, options).compare(ways);
      all.push(...measures(place, await withLab(options, compare, request)));
    } finally {
      await mixes.remove();
    }
  }
  return all;
}

/** The guests of a run, and where they are. */
class World {
  readonly #lab: Lab;
  readonly #place: LinkSetting;
  readonly #mixes: Mixes;
  readonly #options: BenchOptions;
  readonly #results: Results = new Map();
  readonly #at = new Map<string, string>();

  constructor(lab: Lab, place: LinkSetting, mixes: Mixes, options: BenchOptions) {
    this.#lab = lab;
    this.#place = place;
    this.#mixes = mixes;
    this.#options = options;
  }

  async compare(ways: readonly HandWay[]): Promise<Results> {
    const { runs = DEFAULT_RUNS, words, say } = this.#options;
    const only = words?.only?.split(',');
    const wanted = (name: string): boolean =>
      only === undefined || name.split(', ').some((part) => only.includes(part));
    say((await virsh(this.#lab, 'a', ['version', '--daemon'])).trim().replaceAll('\n', '; '));
    await this.#start('web1', 1);
    for (let run = 0; run < runs; run += 1) {
      for (const way of ways) if (wanted(way.name)) await this.#move('web1', way.name, way);
      await this.#scenes(wanted, run);
    }
    return this.#results;
  }

  /** Boots a guest on host a; `number` decides what only it has. */
  async #start(name: string, number: number): Promise<void> {
    const { memoryBytes } = this.#place;
    const initramfs = await this.#mixes.initramfs(number);
    const { signal } = this.#options;
    await startMixedGuest(this.#lab, { name, host: 'a', memoryBytes, initramfs, signal });
    this.#at.set(name, 'a');
  }

  /** The first guest of the image, the second one, and the first one's way back. */
  async #scenes(wanted: (name: string) => boolean, run: number): Promise<void> {
    if (!SCENES.some(wanted)) return;
    // So that the second guest, which boots on host a, goes the same way.
    if (this.#at.get('web1') === 'b') await this.#move('web1', '');
    await forgetAll(this.#lab);
    const isWhole = await this.#move('web1', 'cold');
    if (wanted('second')) {
      await this.#start('web2', 2 + run);
      await this.#move('web2', 'second');
      await stopDomain(this.#lab, 'web2');
    }
    if (!wanted('return')) return;
    if (isWhole) await this.#move('web1', 'return');
    else this.#options.say('return: left out, since web1 was lost');
  }

  /** To the other host; counts under `name` where there is one. False where the guest was lost: it is booted anew then. */
  async #move(guest: string, name: string, by?: HandWay): Promise<boolean> {
    const moved = await this.#measured(guest, by);
    this.#options.say(`${name.padEnd(18)}${describe(moved)}`);
    if (name !== '') this.#results.set(name, [...(this.#results.get(name) ?? []), moved]);
    if (moved.clientGapMs !== undefined) return true;
    if (guest !== 'web1') return false;
    await stopDomain(this.#lab, guest);
    await this.#start(guest, 1);
    return false;
  }

  async #measured(guest: string, by: HandWay | undefined): Promise<MoveResult> {
    const { signal } = this.#options;
    const lab = this.#lab;
    const from = this.#at.get(guest) ?? 'a';
    const to = from === 'a' ? 'b' : 'a';
    await untilQuiet(lab, signal);
    const client = await openProbe(lab, guest, { signal });
    const { dirtyBytesPerSecond } = this.#place;
    await assertDirties({ guest, dirtyBytesPerSecond, signal }, monitorOf(lab, guest, from));
    await client.mark();
    const before = await sentBytes(lab, from, signal);
    const asked = { guest, from, to, maxDowntimeMs: MAX_DOWNTIME_MS, deadlineMs: MOVE_MS };
    const totalMs =
      by === undefined
        ? await byGodwit(lab, asked, signal)
        : await byVirsh(lab, { ...asked, flags: by.flags });
    const linkBytes = (await sentBytes(lab, from, signal)) - before;
    this.#at.set(guest, to);
    const clientGapMs = await gapOf(client, signal);
    await client.stop();
    // A guest that has ended meanwhile has no job.
    const job = await jobMs(lab, guest, to).catch(() => Number.NaN);
    const times = { totalMs, jobMs: job, linkBytes };
    const isWhole = clientGapMs !== undefined && (await isAsItWas(lab, guest, signal));
    return isWhole ? { ...times, clientGapMs } : times;
  }
}

/** QEMU's monitor, through libvirt. */
function monitorOf(lab: Lab, guest: string, host: string) {
  return async (command: string, args: Record<string, unknown> = {}): Promise<unknown> => {
    const asked = JSON.stringify({ execute: command, arguments: args });
    const said = await virsh(lab, host, ['qemu-monitor-command', guest, asked]);
    return (JSON.parse(said) as { readonly return?: unknown }).return;
  };
}

async function byGodwit(
  lab: Lab,
  { guest, to, deadlineMs }: { guest: string; to: string; deadlineMs: number },
  signal: AbortSignal,
): Promise<number> {
  const words = ['--path', 'wire', '--max-downtime', `${MAX_DOWNTIME_MS}ms`];
  const { report } = await godwitMigrate(lab, { guest, to, words, deadlineMs }, signal);
  return report.totalMs;
}

async function isAsItWas(lab: Lab, guest: string, signal: AbortSignal): Promise<boolean> {
  try {
    return (await verifyGuest(lab, guest, { deadlineMs: VERIFY_MS, signal })).ok;
  } catch {
    signal.throwIfAborted();
    return false;
  }
}

function describe({ totalMs, jobMs: job, linkBytes, clientGapMs }: MoveResult): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(1).padStart(6)} s`;
  const bytes = `${(linkBytes / 1e6).toFixed(1).padStart(7)} MB`;
  const gap = clientGapMs === undefined ? 'the guest was lost' : `gap ${clientGapMs.toFixed(0)} ms`;
  return `${seconds(totalMs)}, libvirt's job ${seconds(job)}, ${bytes}, ${gap}`;
}

const handNames: ReadonlySet<string> = new Set(HAND.map(({ name }) => name));

/** Each side's medians; the wire's against the best of libvirt's own for each column. A gap is of guests that were not lost. */
export function measures(
  place: Pick<LinkSetting, 'name' | 'targets'>,
  results: ReadonlyMap<string, readonly MoveResult[]>,
): Measure[] {
  const hand = [...results.keys()].filter((name) => handNames.has(name));
  const of = (name: string, value: Value): number => {
    const all = (results.get(name) ?? []).flatMap((moved) => value(moved) ?? []);
    const known = all.filter((each) => !Number.isNaN(each));
    return known.length === 0 ? Number.NaN : median(known);
  };
  const best = (value: Value): number => {
    const known = hand.map((name) => of(name, value)).filter((each) => !Number.isNaN(each));
    return known.length === 0 ? Number.NaN : Math.min(...known);
  };
  const all = [...results].flatMap(([name, moves]) => {
    const measure = (what: string, value: number, unit: string, atMost?: number): Measure => ({
      name: `${place.name}: ${name}: ${what}`,
      value,
      unit,
      runs: what.startsWith('client gap') ? moves.filter(isKept).length : moves.length,
      ...(atMost === undefined || Number.isNaN(value) ? {} : { target: { atMost } }),
    });
    const own = [
      measure('bytes', of(name, bytesOf) / 1e6, 'MB'),
      measure('total', of(name, totalOf) / 1000, 's'),
      measure('libvirt’s job', of(name, jobOf) / 1000, 's'),
      measure('client gap', of(name, clientGapOf), 'ms'),
    ];
    if (handNames.has(name) || hand.length === 0) return own;
    const { bytes, time } = place.targets[name] ?? {};
    const gap = of(name, clientGapOf) - best(clientGapOf);
    return [
      ...own,
      measure('bytes, of virsh’s best', of(name, bytesOf) / best(bytesOf), 'x', bytes),
      measure('total, of virsh’s best', of(name, totalOf) / best(totalOf), 'x'),
      measure('libvirt’s job, of virsh’s best', of(name, jobOf) / best(jobOf), 'x', time),
      measure('client gap, more than virsh’s best', gap, 'ms', 20),
    ];
  });
  return [...all, lostOf(place, results, true), lostOf(place, results, false)];
}

function lostOf(
  place: Pick<LinkSetting, 'name'>,
  results: ReadonlyMap<string, readonly MoveResult[]>,
  isHand: boolean,
): Measure {
  const moves = [...results].flatMap(([name, all]) => (handNames.has(name) === isHand ? all : []));
  const value = moves.filter((moved) => !isKept(moved)).length;
  const name = `${place.name}: guests lost, ${isHand ? 'virsh' : 'Godwit'}`;
  return { name, value, unit: '', runs: moves.length };
}

type Value = (moved: MoveResult) => number | undefined;
const isKept = ({ clientGapMs }: MoveResult): boolean => clientGapMs !== undefined;
const bytesOf: Value = ({ linkBytes }) => linkBytes;
const totalOf: Value = ({ totalMs }) => totalMs;
const jobOf: Value = ({ jobMs: value }) => value;
const clientGapOf: Value = ({ clientGapMs }) => clientGapMs;
