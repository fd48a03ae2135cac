import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { GuestCounters } from '../../migration/load-history.ts';
import { MS_PER_TICK, readStat } from '../../system/processes/process.ts';

/** Files of a cgroup with the use of all processes in and below it, including ended ones. */
export interface CountedCgroup {
  /** cpu.stat (version 2) or cpuacct.usage. */
  readonly processor: string;
  readonly memory: string;
}

export interface CountedBy {
  /** The guest's process, or its first one if it has a cgroup. */
  readonly pid: number;
  readonly cgroup?: CountedCgroup | undefined;
  /** The guest's links on this host; empty if unknown. */
  readonly ports: readonly string[];
}

/** Text of a file, by absolute name or name under /proc; '' if it cannot be read. */
export type ReadProc = (file: string) => string;

export const readProc: ReadProc = (file) => {
  try {
    return readFileSync(path.resolve('/proc', file), 'latin1');
  } catch {
    return '';
  }
};

export interface LinkBytes {
  readonly received: number;
  readonly sent: number;
}

export function parsePorts(text: string): ReadonlyMap<string, LinkBytes> {
  const lines = text.split('\n').flatMap((line) => {
    const [, name, rest = ''] = /^\s*([^\s:]+):(.*)$/s.exec(line) ?? [];
    const fields = rest.trim().split(/\s+/);
    return name === undefined
      ? []
      : [[name, { received: countOf(fields[0]), sent: countOf(fields[8]) }] as const];
  });
  return new Map(lines);
}

/** Processor time in a cgroup's file, ms. Pure. */
export function cgroupProcessorMs(text: string): number | undefined {
  const [, us] = /^usage_usec (\d{1,18})$/m.exec(text) ?? [];
  if (us !== undefined) return Number(us) / 1000;
  const [, ns] = /^(\d{1,20})\n?$/.exec(text) ?? [];
  return ns === undefined ? undefined : Number(ns) / 1e6;
}

/**
 * Mapped memory of a cgroup, bytes: shared memory counts once, file cache not at all. Undefined for any text but
 * memory.stat. Pure.
 */
export function cgroupResidentBytes(text: string): number | undefined {
  const field = (name: string): number | undefined => {
    const [, value] = new RegExp(`^${name} (\\d{1,15})$`, 'm').exec(text) ?? [];
    return value === undefined ? undefined : Number(value);
  };
  // In version 1 the plain names exclude groups below.
  const own = field('total_rss') ?? field('anon');
  const ofFiles = field('total_mapped_file') ?? field('file_mapped');
  return own === undefined ? undefined : own + (ofFiles ?? 0);
}

/** Texts with a guest's use; storage only for a single process. */
interface CountedTexts {
  readonly stat: string;
  readonly io: string;
  readonly processor?: string | undefined;
}

/** Undefined if the process has ended, or its cgroup does not count. Pure. */
export function countersOf(
  { pid, ports, cgroup }: CountedBy,
  { stat, io, processor = '' }: CountedTexts,
  links: ReadonlyMap<string, LinkBytes>,
): GuestCounters | undefined {
  const line = readStat(stat);
  if (line === undefined || line.hasEnded) return undefined;
  const processorMs =
    cgroup === undefined ? line.usedTicks * MS_PER_TICK : cgroupProcessorMs(processor);
  if (processorMs === undefined) return undefined;
  const seen = ports.flatMap((port) => links.get(port) ?? []);
  const sum = (which: keyof LinkBytes): number => seen.reduce((all, each) => all + each[which], 0);
  // Data that the host receives on a tap was sent by the guest.
  const counted = ports.filter((port) => links.has(port));
  const network =
    seen.length === 0 ? {} : { ports: counted, inBytes: sum('sent'), outBytes: sum('received') };
  const [readBytes, writtenBytes] = ['read_bytes', 'write_bytes'].map((name) => {
    const value = new RegExp(`^${name}: (\\d{1,19})$`, 'm').exec(io)?.[1];
    return value === undefined ? undefined : Number(value);
  });
  return { of: `${pid} ${line.startTicks}`, processorMs, readBytes, writtenBytes, ...network };
}

/** Two reads of some µs, with or without a cgroup. */
export function readCounters(
  counted: CountedBy,
  links: ReadonlyMap<string, LinkBytes>,
  read: ReadProc = readProc,
): GuestCounters | undefined {
  const { pid, cgroup } = counted;
  const stat = read(`${pid}/stat`);
  const texts =
    cgroup === undefined
      ? { stat, io: read(`${pid}/io`) }
      : { stat, io: '', processor: read(cgroup.processor) };
  return countersOf(counted, texts, links);
}

export function countOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,19}$/.test(text) ? Number(text) : 0;
}
