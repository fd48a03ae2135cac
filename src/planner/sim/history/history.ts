/** A site's recorded hosts and guests, from three files. Pure. */
import type { PlannerHost } from '../../inventory.ts';
import { mostCoresOf } from '../../processor-use-bounds.ts';
import { readRange, tooMuch, type RangeReading } from './prometheus.ts';
import { readEvents, type SceneEvent } from './events.ts';
import { readTable, TableError } from './table.ts';

export { TableError } from './table.ts';

export interface RecordedGuest {
  readonly name: string;
  readonly host: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Cores used or requested at each tick; gaps keep the last value. */
  readonly load: Float64Array;
  /** Only ticks with a recorded sample. */
  readonly recorded: readonly number[];
  readonly dirtyBytesPerSecond?: number;
  readonly apart?: string;
  /** Start and stop, s from the beginning; absent: always there. */
  readonly startsAt?: number;
  readonly stopsAt?: number;
}

type GuestRow = Omit<RecordedGuest, 'load' | 'recorded'>;

export interface History {
  readonly hosts: readonly PlannerHost[];
  readonly guests: readonly RecordedGuest[];
  readonly ticks: number;
  readonly events?: readonly SceneEvent[];
}

/** Interval of the policies' looks, s. */
export const TICK_S = 300;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
/** Three years; a longer span means mixed units of time. */
const MAX_TICKS = (3 * 366 * 24 * 3600) / TICK_S;
/** Bound of memory: guests times ticks. */
const MAX_SAMPLES = 50_000_000;

/** Files of a directory by name. Guests' use is a table or a Prometheus answer. */
export type Files = Readonly<Record<'hosts.csv' | 'guests.csv', string>> & {
  readonly 'events.csv'?: string;
} & (Readonly<Record<'load.csv', string>> | Readonly<Record<'load.json', string>>);

export type WhereIn = RangeReading['where'];

/** Throws a TableError that names file, line, column and what was expected. */
export function readHistory(files: Files, where: WhereIn): History {
  const hosts = hostsOf(files['hosts.csv']);
  const names = new Set(hosts.map(({ name }) => name));
  const guests = new Map<string, GuestRow>();
  const columns = [
    { name: 'name', kind: 'text' },
    { name: 'host', kind: 'text' },
    { name: 'cores', kind: 'positive' },
    { name: 'memory_gib', kind: 'number' },
    { name: 'dirty_mib_s', kind: 'number', optional: true },
    { name: 'apart', kind: 'text', optional: true },
    { name: 'starts', kind: 'number', optional: true },
    { name: 'stops', kind: 'number', optional: true },
  ] as const;
  readTable(files['guests.csv'], 'guests.csv', columns, (row, wrong) => {
    const [name, host] = [String(row['name']), String(row['host'])];
    if (!names.has(host)) throw wrong('host', `expected a host of hosts.csv, got '${host}'`);
    if (guests.has(name)) throw wrong('name', `${name} is there twice`);
    guests.set(name, {
      name,
      host,
      cores: Number(row['cores']),
      memoryBytes: Number(row['memory_gib']) * GIB,
      ...given('dirtyBytesPerSecond', row['dirty_mib_s'], (mib) => Number(mib) * MIB),
      ...given('apart', row['apart'], String),
      ...given('startsAt', row['starts'], Number),
      ...given('stopsAt', row['stops'], Number),
    });
  });
  if (guests.size === 0) throw new TableError('guests.csv: has no guest');
  const load = readLoad(files, guests, where);
  const of = { hosts: names, guests: new Set(guests.keys()), first: load.first };
  const events =
    files['events.csv'] === undefined ? {} : { events: readEvents(files['events.csv'], of) };
  return { hosts, ...loadsOf(load, guests), ...events };
}

const given = <Name extends string, Value>(
  name: Name,
  cell: string | number | undefined,
  read: (cell: string | number) => Value,
): Partial<Record<Name, Value>> =>
  cell === undefined ? {} : ({ [name]: read(cell) } as Record<Name, Value>);

function hostsOf(text: string): PlannerHost[] {
  const hosts = new Map<string, PlannerHost>();
  const columns = [
    { name: 'name', kind: 'text' },
    { name: 'cores', kind: 'positive' },
    { name: 'memory_gib', kind: 'number' },
    { name: 'idle_watts', kind: 'number', optional: true },
    { name: 'busy_watts', kind: 'number', optional: true },
    { name: 'link_gbit', kind: 'positive', optional: true },
  ] as const;
  readTable(text, 'hosts.csv', columns, (row, wrong) => {
    const name = String(row['name']);
    if (hosts.has(name)) throw wrong('name', `${name} is there twice`);
    const [idle, busy] = [row['idle_watts'], row['busy_watts']];
    const watts =
      typeof idle === 'number' && typeof busy === 'number' ? { watts: [idle, busy] } : {};
    hosts.set(name, {
      name,
      cpu: Number(row['cores']),
      coreCpu: 1,
      memoryBytes: Number(row['memory_gib']) * GIB,
      on: true,
      ...watts,
      ...given('linkBytesPerSecond', row['link_gbit'], (gbit) => (Number(gbit) * 1e9) / 8),
    });
  });
  if (hosts.size === 0) throw new TableError('hosts.csv: has no host');
  return [...hosts.values()];
}

interface Load {
  readonly file: string;
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
  readonly first: number;
  readonly last: number;
}

interface Sample {
  readonly time: number;
  readonly cores: number;
}

function readLoad(files: Files, guests: ReadonlyMap<string, GuestRow>, where: WhereIn): Load {
  const samples = new Map<string, Sample[]>();
  let [first, last] = [Infinity, -Infinity];
  const sample = (guest: string, time: number, cores: number): void => {
    first = Math.min(first, time);
    last = Math.max(last, time);
    const own = samples.get(guest) ?? [];
    own.push({ time, cores });
    samples.set(guest, own);
  };
  const coresOf = (name: string): number | undefined => guests.get(name)?.cores;
  const isTable = 'load.csv' in files;
  if (isTable) readLoadTable(files['load.csv'], coresOf, sample);
  else readRange(files['load.json'], 'load.json', { coresOf, where, sample });
  const file = isTable ? 'load.csv' : 'load.json';
  if (samples.size === 0) throw new TableError(`${file}: has no sample`);
  return { file, samples, first, last };
}

function readLoadTable(
  text: string,
  coresOf: RangeReading['coresOf'],
  sample: RangeReading['sample'],
): void {
  const columns = [
    { name: 'time', kind: 'number' },
    { name: 'guest', kind: 'text' },
    { name: 'cores', kind: 'number' },
  ] as const;
  readTable(text, 'load.csv', columns, (row, wrong) => {
    const name = String(row['guest']);
    const has = coresOf(name);
    if (has === undefined) throw wrong('guest', `expected a guest of guests.csv, got '${name}'`);
    const cores = Number(row['cores']);
    if (cores > mostCoresOf(has)) throw wrong('cores', `${tooMuch(has)}, got '${cores}'`);
    sample(name, Number(row['time']), cores);
  });
}

function loadsOf(
  { file, samples, first, last }: Load,
  guests: ReadonlyMap<string, GuestRow>,
): Pick<History, 'guests' | 'ticks'> {
  const ticks = Math.floor((last - first) / TICK_S) + 1;
  if (ticks > MAX_TICKS) {
    throw new TableError(
      `${file}: ${last - first} s lie between its first and its last time; three years fit. Is time in seconds?`,
    );
  }
  if (ticks * guests.size > MAX_SAMPLES) {
    throw new TableError(
      `${file}: ${ticks} looks of ${TICK_S} s for ${guests.size} guests are too many; ${MAX_SAMPLES} in all fit. Is time in seconds?`,
    );
  }
  const loaded = [...guests.values()].map((guest) => {
    const own = samples.get(guest.name);
    if (own === undefined) {
      throw new TableError(`${file}: has no sample of ${guest.name}, a guest of guests.csv`);
    }
    return {
      ...guest,
      ...given('startsAt', guest.startsAt, (at) => Number(at) - first),
      ...given('stopsAt', guest.stopsAt, (at) => Number(at) - first),
      ...resampled(own, { first, ticks, cores: guest.cores }),
    };
  });
  return { guests: loaded, ticks };
}

function resampled(
  samples: readonly Sample[],
  { first, ticks, cores }: { first: number; ticks: number; cores: number },
): Pick<RecordedGuest, 'load' | 'recorded'> {
  const sorted = samples.toSorted((left, right) => left.time - right.time);
  const load = new Float64Array(ticks);
  const recorded: number[] = [];
  let next = 0;
  let now = 0;
  for (let tick = 0; tick < ticks; tick += 1) {
    const until = first + tick * TICK_S;
    const before = next;
    for (; (sorted[next]?.time ?? Infinity) <= until; next += 1) now = sorted[next]?.cores ?? 0;
    load[tick] = Math.min(cores, now);
    if (next > before) recorded.push(Math.min(cores, now));
  }
  return { load, recorded };
}
