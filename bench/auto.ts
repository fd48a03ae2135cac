import type { LabRequest } from '../lab/up.ts';
import { stopGuest } from '../lab/guest/stop.ts';
import { verifyGuest } from '../lab/guest/talk.ts';
import type { Lab } from '../lab/state.ts';
import type { DataPath } from '../src/protocol/public/migration.ts';
import { parseBytes, parseRate } from '../src/protocol/quantity.ts';
import { measuresOf, SCENES, type Scene, type MoveResult } from './auto-verdict.ts';
import type { HandSetting } from './by-hand.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { otherHost, withLab } from './lab.ts';
import { makeMixes, startMixedGuest, type Mixes } from './wire-guest.ts';
import { CACHE_BYTES, forgetAll, MAX_DOWNTIME_MS, measuredMove } from './wire-move.ts';
import { SETTINGS } from './wire-places.ts';

const MIB = 1024 ** 2;
const DEFAULT_RUNS = 3;
const DEFAULT_MEMORY = 384 * MIB;
/** bytes/s */
const DIRTY = MIB;
/**
 * Up to this rate (bytes/s) guests get a longer downtime, so that each way ends: over 40 Mbit/s QEMU's last rounds took 170 ms
 * and left 0.9 MB, much of it of the guest's kernel and of its client. Over 100 Mbit/s a move with 30 ms took 543 s on one machine.
 */
const SLOW_LINK = 12_500_000;
const SLOW_DOWNTIME_MS = 250;
const UNCAPPED = 'uncapped';
const LINKS = ['40mbit', '100mbit', '400mbit', '1gbit', UNCAPPED];

export const auto: Bench = {
  name: 'auto',
  summary:
    '--path auto against every setting by hand and the wire [--link --memory] [--only SCENE]',
  run: async (options) => {
    const { link, memory } = options.words ?? {};
    onlyOf(options, SCENES);
    const memoryBytes = memory === undefined ? DEFAULT_MEMORY : parseBytes(memory);
    const mixes = await makeMixes(memoryBytes, { bytesPerSecond: DIRTY, rewriteOf: undefined });
    const all: Measure[] = [];
    try {
      for (const each of link === undefined ? LINKS : [link]) {
        const rate = each === UNCAPPED ? undefined : parseRate(each);
        const isSlow = (rate ?? Infinity) <= SLOW_LINK;
        const maxDowntimeMs = isSlow ? SLOW_DOWNTIME_MS : MAX_DOWNTIME_MS;
        const tried = await withLab(
          options,
          (lab) =>
            new Course(lab, { link: each, memoryBytes, mixes, maxDowntimeMs }, options).run(),
          requestFor(rate),
        );
        all.push(...measuresOf(each, tried));
      }
    } finally {
      await mixes.remove();
    }
    return all;
  },
};

/** `auto` goes by what the configuration says of the link, or by what it has seen of one without a limit. */
function requestFor(
  rate: number | undefined,
): Pick<LabRequest, 'linkBytesPerSecond' | 'configure'> {
  return {
    ...(rate === undefined ? {} : { linkBytesPerSecond: rate }),
    configure: () => ({
      cache: { scope: 'host' as const, bytes: CACHE_BYTES },
      ...(rate === undefined ? {} : { wire: { rates: { a: rate, b: rate } } }),
    }),
  };
}

interface Place {
  readonly link: string;
  readonly memoryBytes: number;
  readonly mixes: Mixes;
  readonly maxDowntimeMs: number;
}

/** The guests of one link, and where they are. */
class Course {
  readonly #lab: Lab;
  readonly #place: Place;
  readonly #options: BenchOptions;
  readonly #at = new Map<string, string>();
  readonly #tried: MoveResult[] = [];
  #booted = 0;

  constructor(lab: Lab, place: Place, options: BenchOptions) {
    this.#lab = lab;
    this.#place = place;
    this.#options = options;
  }

  async run(): Promise<readonly MoveResult[]> {
    const only = onlyOf(this.#options, SCENES);
    const isWanted = (scene: Scene): boolean => only === undefined || only.includes(scene);
    await this.#boot('web1');
    for (let run = 0; run < (this.#options.runs ?? DEFAULT_RUNS); run += 1) {
      // What QEMU sends does not hang on what hosts know: each of these counts for every scene.
      for (const setting of SETTINGS)
        await this.#move('web1', { by: setting, scenes: SCENES.filter(isWanted) });
      if (isWanted('cold')) await this.#cold();
      if (isWanted('return')) await this.#return();
      if (isWanted('second')) await this.#second();
    }
    return this.#tried;
  }

  async #cold(): Promise<void> {
    for (const by of ['wire', 'auto'] as const) {
      await forgetAll(this.#lab);
      await this.#move('web1', { by, scenes: ['cold'] });
    }
  }

  /** The first fills the caches of both hosts. */
  async #return(): Promise<void> {
    await forgetAll(this.#lab);
    await this.#move('web1', { by: 'wire', scenes: [] });
    for (const by of ['wire', 'auto'] as const)
      await this.#move('web1', { by, scenes: ['return'] });
  }

  /** Another guest of the image follows one that went before it, from where guests are booted. */
  async #second(): Promise<void> {
    for (const by of ['wire', 'auto'] as const) {
      if (this.#at.get('web1') === 'b') await this.#move('web1', { by: 'wire', scenes: [] });
      await forgetAll(this.#lab);
      await this.#move('web1', { by: 'wire', scenes: [] });
      await this.#boot('web2');
      await this.#move('web2', { by, scenes: ['second'] });
      await stopGuest(this.#lab, 'web2');
    }
  }

  async #boot(name: string): Promise<void> {
    const { memoryBytes, mixes } = this.#place;
    this.#booted += 1;
    const initramfs = await mixes.initramfs(this.#booted);
    const { signal } = this.#options;
    await startMixedGuest(this.#lab, { name, host: 'a', memoryBytes, initramfs, signal });
    this.#at.set(name, 'a');
  }

  async #move(
    guest: string,
    { by, scenes }: { readonly by: HandSetting | DataPath; readonly scenes: readonly Scene[] },
  ): Promise<void> {
    const { signal, say } = this.#options;
    const from = this.#at.get(guest) ?? 'a';
    const to = otherHost(this.#lab, from);
    const { maxDowntimeMs } = this.#place;
    const dirtied = { dirtyBytesPerSecond: DIRTY, maxDowntimeMs };
    const of = { lab: this.#lab, guest, from, to, ...dirtied, signal };
    const { totalMs, linkBytes, report } = await measuredMove(of, by);
    this.#at.set(guest, to);
    const { ok } = await verifyGuest(this.#lab, guest, { signal });
    const way = typeof by === 'string' ? by : by.name;
    if (!ok) throw new Error(`the memory of ${guest} is not what it was after ${way}`);
    const chosen = report?.decisions.findLast(({ what }) => what.startsWith('memory goes'))?.what;
    const words = [scenes.join(' '), way, chosen].filter((each) => each !== undefined).join(', ');
    say(
      `${this.#place.link}: ${words}: ${(totalMs / 1000).toFixed(1)} s, ${(linkBytes / 1e6).toFixed(1)} MB`,
    );
    for (const scene of scenes) this.#tried.push({ scene, way, totalMs, bytes: linkBytes });
  }
}
