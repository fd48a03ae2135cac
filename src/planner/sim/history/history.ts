/** What a site recorded of its own hosts and guests, from three CSV files. Pure. */
import type { PlannerHost } from '../../inventory.ts';
import { readTable, TableError } from './table.ts';

export { TableError } from './table.ts';

export interface RecordedGuest {
  readonly name: string;
  readonly host: string;
  readonly cores: number;
  readonly memoryBytes: number;
  /** Cores that it used or asked for at each tick; the last one that was told goes on. */
  readonly load: Float64Array;
  /** The same of those ticks alone in which a sample was recorded. */
  readonly recorded: readonly number[];
}

type GuestRow = Omit<RecordedGuest, 'load' | 'recorded'>;

export interface History {
  readonly hosts: readonly PlannerHost[];
  readonly guests: readonly RecordedGuest[];
  readonly ticks: number;
}

/** The policies look so often, s. */
export const TICK_S = 300;
const GIB = 1024 ** 3;
/** Three years: a file with a longer span has times of two kinds. */
const MOST_TICKS = (3 * 366 * 24 * 3600) / TICK_S;
/** A bound on memory: guests times ticks. */
const MOST_SAMPLES = 50_000_000;

/** The three files of a directory, by name. */
export interface Files {
  readonly 'hosts.csv': string;
  readonly 'guests.csv': string;
  readonly 'load.csv': string;
}

/** Throws a TableError that names file, line, column and what was expected. */
export function readHistory(files: Files): History {
  const hosts = hostsOf(files['hosts.csv']);
  const names = new Set(hosts.map(({ name }) => name));
  const guests = new Map<string, GuestRow>();
  const columns = [
    { name: 'name', kind: 'text' },
    { name: 'host', kind: 'text' },
    { name: 'cores', kind: 'positive' },
    { name: 'memory_gib', kind: 'number' },
  ] as const;
  readTable(files['guests.csv'], 'guests.csv', columns, (row, line) => {
    const [name, host] = [String(row['name']), String(row['host'])];
    if (!names.has(host)) {
      throw new TableError(
        `guests.csv:${line}: column 2 (host): expected a host of hosts.csv, got '${host}'`,
      );
    }
    if (guests.has(name))
      throw new TableError(`guests.csv:${line}: column 1 (name): ${name} is there twice`);
    guests.set(name, {
      name,
      host,
      cores: Number(row['cores']),
      memoryBytes: Number(row['memory_gib']) * GIB,
    });
  });
  return { hosts, ...loadsOf(files['load.csv'], guests) };
}

function hostsOf(text: string): PlannerHost[] {
  const hosts = new Map<string, PlannerHost>();
  const columns = [
    { name: 'name', kind: 'text' },
    { name: 'cores', kind: 'positive' },
    { name: 'memory_gib', kind: 'number' },
    { name: 'idle_watts', kind: 'number', optional: true },
    { name: 'busy_watts', kind: 'number', optional: true },
  ] as const;
  readTable(text, 'hosts.csv', columns, (row, line) => {
    const name = String(row['name']);
    if (hosts.has(name))
      throw new TableError(`hosts.csv:${line}: column 1 (name): ${name} is there twice`);
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
    });
  });
  if (hosts.size === 0) throw new TableError('hosts.csv: has no host');
  return [...hosts.values()];
}

function loadsOf(
  text: string,
  guests: ReadonlyMap<string, GuestRow>,
): Pick<History, 'guests' | 'ticks'> {
  const columns = [
    { name: 'time', kind: 'number' },
    { name: 'guest', kind: 'text' },
    { name: 'cores', kind: 'number' },
  ] as const;
  const samples = new Map<string, { time: number; cores: number }[]>();
  let [first, last] = [Infinity, -Infinity];
  readTable(text, 'load.csv', columns, (row, line) => {
    const name = String(row['guest']);
    if (!guests.has(name)) {
      throw new TableError(
        `load.csv:${line}: column 2 (guest): expected a guest of guests.csv, got '${name}'`,
      );
    }
    const time = Number(row['time']);
    first = Math.min(first, time);
    last = Math.max(last, time);
    const own = samples.get(name) ?? [];
    own.push({ time, cores: Number(row['cores']) });
    samples.set(name, own);
  });
  if (samples.size === 0) throw new TableError('load.csv: has no sample');
  const ticks = Math.floor((last - first) / TICK_S) + 1;
  if (ticks > MOST_TICKS) {
    throw new TableError(
      `load.csv: ${last - first} s lie between its first and its last time; three years fit. Is time in seconds?`,
    );
  }
  if (ticks * guests.size > MOST_SAMPLES) {
    throw new TableError(
      `load.csv: ${ticks} looks of ${TICK_S} s for ${guests.size} guests are too many; ${MOST_SAMPLES} in all fit. Is time in seconds?`,
    );
  }
  const loaded = [...guests.values()].map((guest) => {
    const own = samples.get(guest.name);
    if (own === undefined) {
      throw new TableError(`load.csv: has no sample of ${guest.name}, a guest of guests.csv`);
    }
    return { ...guest, ...resampled(own, { first, ticks, cores: guest.cores }) };
  });
  return { guests: loaded, ticks };
}

function resampled(
  samples: readonly { time: number; cores: number }[],
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
    // A guest can use no more than it has.
    load[tick] = Math.min(cores, now);
    if (next > before) recorded.push(Math.min(cores, now));
  }
  return { load, recorded };
}
