import { systemClock } from '../src/clock.ts';
import type { Lab } from '../lab/state.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import { stopGuest } from '../lab/guest/stop.ts';
import type { DataPath } from '../src/protocol/public/migration.ts';
import type { HandSetting } from './by-hand.ts';
import { median, onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { blackoutWords } from './godwit.ts';
import { withLab } from './lab.ts';
import { makeMixes, startMixedGuest, type Mixes } from './wire-guest.ts';
import { placesOf, SETTINGS, type LinkSetting } from './wire-places.ts';
import { CACHE_BYTES, forgetAll, measuredMove, seed, type MoveResult } from './wire-move.ts';

const DEFAULT_RUNS = 5;
const LATER_MS = 15 * 60_000;

const SCENES = ['seeded', 'cold', 'second', 'return', 'auto', 'later'];
const NAMES = [...new Set(SETTINGS.flatMap(({ name }) => name.split(', '))), ...SCENES];

type Results = Map<string, MoveResult[]>;

export const wire: Bench = {
  name: 'wire',
  summary:
    'the wire against QEMU’s own settings on a shaped link [--link --delay --memory --dirty --rewrite --only]',
  run: async (options) => {
    const all: Measure[] = [];
    onlyOf(options, NAMES);
    for (const place of placesOf(options)) all.push(...(await runPlace(place, options)));
    return all;
  },
};

async function runPlace(place: LinkSetting, options: BenchOptions): Promise<Measure[]> {
  const { linkBytesPerSecond, delayMs } = place;
  const request = {
    linkBytesPerSecond,
    delayMs,
    configure: () => ({
      cache: { scope: 'host' as const, bytes: CACHE_BYTES },
      wire: { rates: { a: linkBytesPerSecond, b: linkBytesPerSecond } },
    }),
  };
  const { dirtyBytesPerSecond: bytesPerSecond, rewriteOf } = place;
  const mixes = await makeMixes(place.memoryBytes, { bytesPerSecond, rewriteOf });
  try {
    return await withLab(options, (lab) => compare(lab, place, mixes, options), request);
  } finally {
    await mixes.remove();
  }
}

async function compare(
  lab: Lab,
  place: LinkSetting,
  mixes: Mixes,
  options: BenchOptions,
): Promise<Measure[]> {
  const results: Results = new Map();
  const runs = options.runs ?? DEFAULT_RUNS;
  const world = new World(lab, place, mixes, options, results);
  await world.start('web1', 1);
  const only = onlyOf(options, NAMES) ?? place.tries;
  const wanted = (name: string): boolean => only === undefined || only.includes(name);
  for (let run = 0; run < runs; run += 1) {
    for (const setting of SETTINGS) {
      const { name } = setting;
      if (name.split(', ').some(wanted)) await world.move('web1', name, setting);
    }
    await world.round(wanted, run);
  }
  return measures(place, results);
}

/** The guests of a run, and where they are. */
class World {
  readonly #lab: Lab;
  readonly #place: LinkSetting;
  readonly #mixes: Mixes;
  readonly #options: BenchOptions;
  readonly #results: Results;
  readonly #at = new Map<string, string>();

  constructor(lab: Lab, place: LinkSetting, mixes: Mixes, options: BenchOptions, results: Results) {
    this.#lab = lab;
    this.#place = place;
    this.#mixes = mixes;
    this.#options = options;
    this.#results = results;
  }

  /** Boots a guest on host a; `number` decides what only it has. */
  async start(name: string, number: number): Promise<void> {
    const { memoryBytes } = this.#place;
    const initramfs = await this.#mixes.initramfs(number);
    const { signal } = this.#options;
    const guest = { name, host: 'a', memoryBytes, initramfs, signal };
    await startMixedGuest(this.#lab, guest);
    this.#at.set(name, 'a');
  }

  /** The wire's scenes, each with the caches that it is about. */
  async round(wanted: (name: string) => boolean, run: number): Promise<void> {
    const { signal } = this.#options;
    if (wanted('seeded')) {
      await forgetAll(this.#lab);
      await seed(this.#lab, this.#away('web1'), this.#mixes.image, signal);
      await this.move('web1', 'seeded');
    }
    // So that the second guest, which boots on host a, goes the same way.
    if (this.#at.get('web1') === 'b') await this.move('web1', '');
    await forgetAll(this.#lab);
    await this.move('web1', 'cold');
    if (wanted('second')) {
      await this.start('web2', 2 + run);
      await this.move('web2', 'second');
      await stopGuest(this.#lab, 'web2');
    }
    if (wanted('return')) await this.move('web1', 'return');
    if (wanted('auto')) {
      await forgetAll(this.#lab);
      await this.move('web1', 'auto', 'auto');
    }
    // A quarter of an hour: only where it is asked for.
    if (this.#options.words?.only === undefined || !wanted('later')) return;
    this.#options.say(`web1 works for ${LATER_MS / 60_000} minutes`);
    await systemClock.sleep(LATER_MS, signal);
    await this.move('web1', 'later');
  }

  /** Moves a guest to the other host; counts under `name` where there is one. */
  async move(guest: string, name: string, by: HandSetting | DataPath = 'wire'): Promise<void> {
    const { signal, say } = this.#options;
    const from = this.#at.get(guest) ?? 'a';
    const to = this.#away(guest);
    const { dirtyBytesPerSecond } = this.#place;
    const of = { lab: this.#lab, guest, from, to, dirtyBytesPerSecond, signal };
    const moved = await measuredMove(of, by);
    this.#at.set(guest, to);
    const { ok } = await verifyGuest(this.#lab, guest, { signal });
    if (!ok) throw new Error(`the memory of ${guest} is not what it was after ${name}`);
    say(`${name.padEnd(18)}${describe(moved)}`);
    if (name !== '') this.#results.set(name, [...(this.#results.get(name) ?? []), moved]);
  }

  #away(guest: string): string {
    return this.#at.get(guest) === 'a' ? 'b' : 'a';
  }
}

function describe({ totalMs, linkBytes, clientGapMs, report }: MoveResult): string {
  const seconds = (totalMs / 1000).toFixed(1).padStart(6);
  const bytes = (linkBytes / 1e6).toFixed(1).padStart(7);
  const wireWords =
    report?.wire === undefined
      ? ''
      : `, ${(report.wire.processorMs / 1000).toFixed(1)} s of the source's processor, ${reported(report.wire.told)}, levels ${report.wire.levels.map(({ atMs, to }) => `${to.level}/${to.windowLog} at ${(atMs / 1000).toFixed(1)} s`).join(', ')}`;
  // What was chosen first may have been given up.
  const way = report?.decisions.findLast(({ what }) => what.startsWith('memory goes'))?.what;
  const parts = report === undefined ? '' : ` (${blackoutWords(report)})`;
  const chosen = way === undefined ? '' : `, ${way}`;
  return `${seconds} s, ${bytes} MB, client gap ${clientGapMs.toFixed(0)} ms${parts}${wireWords}${chosen}`;
}

function reported(kinds: Readonly<Record<string, number>>): string {
  return Object.entries(kinds)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${kind} ${count}`)
    .join(' ');
}

const byHandNames: ReadonlySet<string> = new Set(SETTINGS.map(({ name }) => name));

/** Each side's medians; the wire's against the best of QEMU's for each column. */
export function measures(
  place: LinkSetting,
  results: ReadonlyMap<string, readonly MoveResult[]>,
): Measure[] {
  const of = (name: string, value: (moved: MoveResult) => number): number =>
    median((results.get(name) ?? []).map(value));
  const hand = [...results.keys()].filter((name) => byHandNames.has(name));
  const best = (value: (moved: MoveResult) => number): number =>
    Math.min(...hand.map((name) => of(name, value)));
  return [...results].flatMap(([name, moves]) => {
    const runs = moves.length;
    const measure = (what: string, value: number, unit: string): Measure => {
      return { name: `${place.name}: ${name}: ${what}`, value, unit, runs };
    };
    const own = [
      measure('bytes', of(name, bytesOf) / 1e6, 'MB'),
      measure('total', of(name, totalOf) / 1000, 's'),
      measure('client gap', of(name, gapOf), 'ms'),
    ];
    if (byHandNames.has(name)) return own;
    const processor = of(name, processorOf) / 1000 / (place.memoryBytes / 1e9);
    own.push(measure('source’s processor a GB of memory', processor, 's'));
    if (hand.length === 0) return own;
    const { bytes, time } = place.targets[name] ?? {};
    const bounded = (each: Measure, most: number | undefined): Measure =>
      most === undefined ? each : { ...each, target: { atMost: most } };
    return [
      ...own,
      bounded(measure('bytes, of QEMU’s best', of(name, bytesOf) / best(bytesOf), 'x'), bytes),
      bounded(measure('total, of QEMU’s best', of(name, totalOf) / best(totalOf), 'x'), time),
      bounded(
        measure('client gap, more than QEMU’s best', of(name, gapOf) - best(gapOf), 'ms'),
        20,
      ),
    ];
  });
}

const bytesOf = ({ linkBytes }: MoveResult): number => linkBytes;
const totalOf = ({ totalMs }: MoveResult): number => totalMs;
const gapOf = ({ clientGapMs }: MoveResult): number => clientGapMs;
const processorOf = ({ report }: MoveResult): number => report?.wire?.processorMs ?? 0;
