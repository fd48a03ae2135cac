import {
  cgroupProcessorMs,
  cgroupResidentBytes,
  countOf,
  parsePorts,
} from '../../host/machine/guest-counters.ts';
import { readStat } from '../../system/processes/process.ts';
import { MAX_BYTES_PER_S, type HostLoad } from '../../protocol/public/hosts/load.ts';

/** What the kernel's counters say; nothing here reads anything itself. */

/** /proc/stat, ticks since boot of all processors together. */
export interface ProcessorTicks {
  readonly cores: number;
  readonly total: number;
  readonly idle: number;
  readonly steal: number;
}

/** The counters of a host at one moment. */
export interface Counters {
  readonly atMs: number;
  readonly processor: ProcessorTicks;
  /** By resource, µs since boot; absent where the kernel has no PSI. */
  readonly pressure: Readonly<Record<'cpu' | 'memory' | 'io', PressureStall | undefined>>;
  readonly network: Flow;
  readonly disk: Flow;
  /** By name; ticks since the process began, and bytes. */
  readonly guests: ReadonlyMap<string, GuestUse>;
}

export interface PressureStall {
  readonly some: number;
  readonly full: number | undefined;
}

export interface Flow {
  readonly inBytes: number;
  readonly outBytes: number;
}

export interface GuestUse {
  /** Of one and the same process: pid and when it began. */
  readonly of: string;
  readonly ticks: number;
  readonly residentBytes: number;
}

const SECTOR = 512;
const TICKS_PER_S = 100;

/** Columns of the first line: user, nice, system, idle, iowait, irq, softirq, steal; guests' time is in user. */
export function parseStat(text: string): ProcessorTicks {
  const line = /^cpu +(.*)$/m.exec(text)?.[1] ?? '';
  const ticks = line.split(/\s+/).slice(0, 8).map(countOf);
  return {
    cores: Math.max(1, text.match(/^cpu\d+ /gm)?.length ?? 0),
    total: ticks.reduce((sum, each) => sum + each, 0),
    idle: (ticks[3] ?? 0) + (ticks[4] ?? 0),
    steal: ticks[7] ?? 0,
  };
}

/**
 * cpu.stat of a cgroup, µs since it was made, as the ticks of `cores` processors at one moment of a clock; undefined for
 * what is none.
 */
export function parseCgroupStat(
  text: string,
  cores: number,
  atMs: number,
): ProcessorTicks | undefined {
  const used = /^usage_usec (\d{1,18})$/m.exec(text)?.[1];
  if (used === undefined) return undefined;
  const total = atMs * 1000 * cores;
  return { cores, total, idle: total - Number(used), steal: 0 };
}

/** cpu.max of a cgroup: the processors that it may fill, of those of its machine; each one begun counts. */
export function parseCgroupCores(text: string, machine: number): number {
  const [, quota, period] = /^(\d{1,12}) (\d{1,12})$/m.exec(text) ?? [];
  const most = Number(quota) / Number(period);
  return Number.isFinite(most) ? Math.max(1, Math.min(machine, Math.ceil(most))) : machine;
}

/** A file of /proc/pressure; undefined for what is none. */
export function parsePressure(text: string): PressureStall | undefined {
  const of = (kind: string): number | undefined => {
    const total = new RegExp(`^${kind} .*total=(\\d{1,18})$`, 'm').exec(text)?.[1];
    return total === undefined ? undefined : Number(total);
  };
  const some = of('some');
  return some === undefined ? undefined : { some, full: of('full') };
}

/** /proc/net/dev: what the links named came to and sent; of all but the loopback where none of them is there. */
export function parseNetwork(text: string, own: ReadonlySet<string>): Flow {
  const lines = [...parsePorts(text)].flatMap(([name, { received, sent }]) =>
    name === 'lo' ? [] : [{ name, received, sent }],
  );
  return flowOf(lines, own, ({ received, sent }) => [received, sent]);
}

/** /proc/diskstats: what was read from and written to the disks named; of all but loop and RAM devices where none is there. */
export function parseDisks(text: string, own: ReadonlySet<string>): Flow {
  const lines = text.split('\n').flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const name = fields[2];
    return name === undefined || /^(loop|ram|dm-|md|zram)\d/.test(name) ? [] : [{ name, fields }];
  });
  return flowOf(lines, own, ({ fields }) => [
    countOf(fields[5]) * SECTOR,
    countOf(fields[9]) * SECTOR,
  ]);
}

function flowOf<T extends { readonly name: string }>(
  lines: readonly T[],
  own: ReadonlySet<string>,
  bytesOf: (line: T) => readonly [number, number],
): Flow {
  const owned = lines.filter(({ name }) => own.has(name));
  const counted = owned.length > 0 ? owned : lines;
  return counted.reduce(
    ({ inBytes, outBytes }, line) => {
      const [more, less] = bytesOf(line);
      return { inBytes: inBytes + more, outBytes: outBytes + less };
    },
    { inBytes: 0, outBytes: 0 },
  );
}

/** SwapTotal less SwapFree of /proc/meminfo, bytes. */
export function parseSwapUsed(text: string): number {
  const kib = (name: string): number =>
    countOf(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1]);
  return Math.max(0, kib('SwapTotal') - kib('SwapFree')) * 1024;
}

/** Lines of /proc/PID/stat and /proc/PID/status; undefined where they are not those of a process. */
export function parseProcess(pid: number, stat: string, status: string): GuestUse | undefined {
  const line = readStat(stat);
  const resident = /^VmRSS:\s*(\d{1,15}) kB$/m.exec(status)?.[1];
  if (line === undefined || resident === undefined) return undefined;
  return {
    of: `${pid} ${line.startTicks}`,
    ticks: line.usedTicks,
    residentBytes: Number(resident) * 1024,
  };
}

/** Of all in the cgroup of the process with that stat, by its files; undefined where one of them says nothing. */
export function parseCgroup(
  pid: number,
  stat: string,
  { processor, memory }: { readonly processor: string; readonly memory: string },
): GuestUse | undefined {
  const line = readStat(stat);
  const [usedMs, residentBytes] = [cgroupProcessorMs(processor), cgroupResidentBytes(memory)];
  if (line === undefined || usedMs === undefined || residentBytes === undefined) return undefined;
  return { of: `${pid} ${line.startTicks}`, ticks: (usedMs * TICKS_PER_S) / 1000, residentBytes };
}

/** What happened between two looks. A counter that went back (a link was made anew) counts as still. */
export function loadBetween(
  before: Counters,
  now: Counters,
  memory: HostLoad['memory'],
): Omit<HostLoad, 'at'> {
  const overMs = Math.max(1, now.atMs - before.atMs);
  const ticks = Math.max(1, now.processor.total - before.processor.total);
  const ofTicks = (count: number): number => bounded(count / ticks);
  const perS = (one: number, other: number): number =>
    Math.min(MAX_BYTES_PER_S, Math.round((Math.max(0, one - other) * 1000) / overMs));
  return {
    overMs: Math.round(overMs),
    processor: {
      cores: now.processor.cores,
      used: ofTicks(ticks - (now.processor.idle - before.processor.idle)),
      steal: ofTicks(now.processor.steal - before.processor.steal),
    },
    ...pressureBetween(before, now, overMs),
    memory,
    network: {
      inBytesPerS: perS(now.network.inBytes, before.network.inBytes),
      outBytesPerS: perS(now.network.outBytes, before.network.outBytes),
    },
    disk: {
      readBytesPerS: perS(now.disk.inBytes, before.disk.inBytes),
      writeBytesPerS: perS(now.disk.outBytes, before.disk.outBytes),
    },
    guests: guestsBetween(before.guests, now.guests, overMs),
  };
}

function pressureBetween(
  before: Counters,
  now: Counters,
  overMs: number,
): Pick<HostLoad, 'pressure'> {
  const of = (what: 'cpu' | 'memory' | 'io', kind: keyof PressureStall): number | undefined => {
    const [one, other] = [before.pressure[what]?.[kind], now.pressure[what]?.[kind]];
    return one === undefined || other === undefined
      ? undefined
      : bounded((other - one) / 1000 / overMs);
  };
  const all = {
    processor: of('cpu', 'some'),
    memorySome: of('memory', 'some'),
    memoryFull: of('memory', 'full'),
    ioSome: of('io', 'some'),
    ioFull: of('io', 'full'),
  };
  const known = Object.entries(all).filter(([, value]) => value !== undefined);
  return known.length === 0 ? {} : { pressure: Object.fromEntries(known) };
}

/** A guest that was not there before, or is another process now, has no processor time to report yet. */
function guestsBetween(
  before: Counters['guests'],
  now: Counters['guests'],
  overMs: number,
): HostLoad['guests'] {
  return [...now].flatMap(([name, { of, ticks, residentBytes }]) => {
    const was = before.get(name);
    if (was?.of !== of) return [];
    const cores = Math.max(0, ticks - was.ticks) / TICKS_PER_S / (overMs / 1000);
    return [{ name, cores: rounded(cores), residentBytes }];
  });
}

function bounded(share: number): number {
  return rounded(Math.min(1, Math.max(0, share)));
}

/** To a tenth of a percent: a sample need not be longer than what it knows. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
