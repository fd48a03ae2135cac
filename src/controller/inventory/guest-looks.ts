import { sql } from 'kysely';
import { MAX_GUESTS_OF_A_SAMPLE, type HostLoad } from '../../protocol/public/hosts/load.ts';
import type { Store } from '../store/store.ts';
import { isPossibleUse } from '../../planner/processor-use-bounds.ts';

/** Default time for the average of a guest's use, for plans. */
export const LOOK_MS = 300_000;
/** Hosts report every ten seconds; shorter looks would often be empty. */
export const SHORTEST_LOOK_MS = 10_000;
export const LOOKS_KEPT_MS = 3 * 3_600_000;
/** The oldest are dropped if the database fails for long. */
const MAX_UNWRITTEN = 12;
/** A plan reads at most the number of looks of the default length. */
const MAX_READ = LOOKS_KEPT_MS / LOOK_MS;

export interface HostLook {
  readonly used: number;
  readonly pressure: number;
  readonly cores: number;
  readonly guests: Readonly<Record<string, number>>;
  /** Impossible values, the highest by guest. */
  readonly aside?: Readonly<Record<string, number>>;
  /** How far the host's clock is ahead of the controller's, ms; absent if they agree. */
  readonly clockAheadMs?: number;
}

export interface Look {
  readonly atMs: number;
  readonly look: HostLook;
}

/** Twice the largest sample; one host cannot have more guests. */
const MAX_GUESTS = 2 * MAX_GUESTS_OF_A_SAMPLE;

/** Smaller clock differences may be delays of a sample. */
const CLOCK_MS = 60_000;

export class HostLooks {
  #done: Look[] = [];
  readonly #guests = new Map<string, { sum: number; count: number }>();
  #begunMs = 0;
  #count = 0;
  #used = 0;
  #pressure = 0;
  #cores = 0;
  readonly #aside = new Map<string, number>();
  #aheadMs = Infinity;
  readonly #lookMs: number;

  constructor(lookMs = LOOK_MS) {
    this.#lookMs = lookMs;
  }

  add(
    atMs: number,
    { at, processor, pressure, guests }: HostLoad,
    sizeOf: (guest: string) => number | undefined = () => undefined,
  ): void {
    this.#end(atMs);
    if (this.#count === 0) this.#begunMs = this.#beginOf(atMs);
    this.#count += 1;
    this.#used += processor.used;
    this.#pressure += pressure?.processor ?? 0;
    this.#cores = processor.cores;
    // A delayed sample seems to have a slow clock, so the nearest of a look counts.
    const aheadMs = Date.parse(at) - atMs;
    if (Math.abs(aheadMs) < Math.abs(this.#aheadMs)) this.#aheadMs = aheadMs;
    for (const { name, cores } of guests) {
      const isKnown = this.#guests.has(name) || this.#aside.has(name);
      if (!isKnown && this.#guests.size + this.#aside.size >= MAX_GUESTS) continue;
      if (!isPossibleUse(cores, { vcpus: sizeOf(name), hostCores: processor.cores })) {
        this.#aside.set(name, Math.max(this.#aside.get(name) ?? 0, cores));
        continue;
      }
      const known = this.#guests.get(name) ?? { sum: 0, count: 0 };
      this.#guests.set(name, { sum: known.sum + cores, count: known.count + 1 });
    }
  }

  unwritten(nowMs: number): readonly Look[] {
    this.#end(nowMs);
    return this.#done;
  }

  written(look: Look): void {
    this.#done = this.#done.filter((each) => each !== look);
  }

  #end(nowMs: number): void {
    if (this.#count === 0 || this.#beginOf(nowMs) === this.#begunMs) return;
    const mean = (sum: number, count: number): number => Math.round((sum / count) * 1000) / 1000;
    const guests = [...this.#guests].map(([name, { sum, count }]) => [name, mean(sum, count)]);
    this.#done.push({
      atMs: this.#begunMs,
      look: {
        used: mean(this.#used, this.#count),
        pressure: mean(this.#pressure, this.#count),
        cores: this.#cores,
        guests: Object.fromEntries(guests) as Record<string, number>,
        ...(this.#aside.size === 0 ? {} : { aside: Object.fromEntries(this.#aside) }),
        ...(Number.isFinite(this.#aheadMs) && Math.abs(this.#aheadMs) >= CLOCK_MS
          ? { clockAheadMs: this.#aheadMs }
          : {}),
      },
    });
    this.#guests.clear();
    this.#aside.clear();
    this.#aheadMs = Infinity;
    this.#count = 0;
    this.#used = 0;
    this.#pressure = 0;
    this.#bound();
  }

  #beginOf(atMs: number): number {
    return Math.floor(atMs / this.#lookMs) * this.#lookMs;
  }

  #bound(): void {
    const surplus = this.#done.length - MAX_UNWRITTEN;
    if (surplus > 0) this.#done.splice(0, surplus);
  }
}

export interface FleetLook {
  readonly atMs: number;
  readonly hosts: ReadonlyMap<string, HostLook>;
}

/** Oldest first. Yielded one by one, since a large fleet has many. */
export async function* fleetLooks(
  { db, nowMs }: Pick<Store, 'db' | 'nowMs'>,
  lookMs = LOOK_MS,
): AsyncGenerator<FleetLook> {
  const rows = db.selectFrom('rollups').where('span', '=', 'look');
  const young = sql<boolean>`at >= ${nowMs} - ${sql.lit(MAX_READ * lookMs)}`;
  const moments = await rows.select('at').distinct().where(young).orderBy('at').execute();
  for (const { at: atMs } of moments) {
    const bodies = await rows.select('body').where('at', '=', atMs).execute();
    const all = bodies.flatMap(({ body }) =>
      Object.entries(JSON.parse(body) as Record<string, HostLook>),
    );
    yield { atMs, hosts: new Map(all) };
  }
}
