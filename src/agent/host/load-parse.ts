import {
  cgroupProcessorMs,
  cgroupResidentBytes,
  countOf,
  parsePorts,
} from '../../host/machine/guest-counters.ts';
import { readStat } from '../../system/processes/process.ts';
import { MAX_BYTES_PER_S, type HostLoad } from '../../protocol/public/hosts/load.ts';

/** Parses the kernel's counters. Pure. */

/** /proc/stat: ticks of all processors since boot. */
export interface ProcessorTicks {
  readonly cores: number;
  readonly total: number;
  readonly idle: number;
  readonly steal: number;
}

export interface Counters {
  readonly atMs: number;
  readonly processor: ProcessorTicks;
  readonly pressure: Readonly<Record<'cpu' | 'memory' | 'io', PressureStall | undefined>>;
  readonly network: Flow;
  readonly disk: Flow;
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
  readonly of: string;
  readonly ticks: number;
  readonly residentBytes: number;
}

const SECTOR = 512;
const TICKS_PER_S = 100;

/** Columns of the first line: user, nice, system, idle, iowait, irq, softirq, steal; `user` includes guests. */
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

/** cpu.stat of a cgroup (µs since its creation) as ticks of `cores` processors; undefined for any other text. */
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

/** cpu.max of a cgroup: processors that it may use, rounded up, of the machine's. */
export function parseCgroupCores(text: string, machine: number): number {
  const [, quota, period] = /^(\d{1,12}) (\d{1,12})$/m.exec(text) ?? [];
  const most = Number(quota) / Number(period);
  return Number.isFinite(most) ? Math.max(1, Math.min(machine, Math.ceil(most))) : machine;
}

/** A file of /proc/pressure; undefined for any other text. */
export function parsePressure(text: string): PressureStall | undefined {
  const of = (kind: string): number | undefined => {
    const total = new RegExp(`^${kind} .*total=(\\d{1,18})$`, 'm').exec(text)?.[1];
    return total === undefined ? undefined : Number(total);
  };
  const some = of('some');
  return some === undefined ? undefined : { some, full: of('full') };
}

/** /proc/net/dev: bytes received and sent by the links in `own`; of all but the loopback if none of them exists. */
export function parseNetwork(text: string, own: ReadonlySet<string>): Flow {
  const lines = [...parsePorts(text)].flatMap(([name, { received, sent }]) =>
    name === 'lo' ? [] : [{ name, received, sent }],
  );
  return flowOf(lines, own, ({ received, sent }) => [received, sent]);
}

/**
 * /proc/diskstats: bytes read from and written to the disks in `own`; of all but loop and RAM devices if none exists.
 */
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

/** SwapTotal minus SwapFree of /proc/meminfo, bytes. */
export function parseSwapUsed(text: string): number {
  const kib = (name: string): number =>
    countOf(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1]);
  return Math.max(0, kib('SwapTotal') - kib('SwapFree')) * 1024;
}

/** /proc/PID/stat and /proc/PID/status; undefined for any other text. */
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

/** Load between two reads. A counter that went back (the link was created again) counts as unchanged. */
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

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
