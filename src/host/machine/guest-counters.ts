import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { GuestCounters } from '../../migration/load-history.ts';
import { MS_PER_TICK, readStat } from '../../system/processes/process.ts';

/** The files of a cgroup that say what all processes in it and below it use, those that have ended included. */
export interface CountedCgroup {
  /** cpu.stat (version 2) or cpuacct.usage. */
  readonly processor: string;
  /** memory.stat. */
  readonly memory: string;
}

/** Where what a guest uses is counted. */
export interface CountedBy {
  /** All of it is this process; its first one, where it has a cgroup. */
  readonly pid: number;
  /** Of a guest that is more than one process. */
  readonly cgroup?: CountedCgroup | undefined;
  /** Its links on this host; none where they are not known. */
  readonly ports: readonly string[];
}

/** Text of a file, by its absolute name or that under /proc; '' where it cannot be read. */
export type ReadProc = (file: string) => string;

export const readProc: ReadProc = (file) => {
  try {
    return readFileSync(path.resolve('/proc', file), 'latin1');
  } catch {
    return '';
  }
};

/** What the host has received over a link and sent, bytes. */
export interface LinkBytes {
  readonly received: number;
  readonly sent: number;
}

/** /proc/net/dev, by the name of the link. Pure. */
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

/** Processor time of a cgroup by its file, ms; undefined where it says none. Pure. */
export function cgroupProcessorMs(text: string): number | undefined {
  const [, us] = /^usage_usec (\d{1,18})$/m.exec(text) ?? [];
  if (us !== undefined) return Number(us) / 1000;
  const [, ns] = /^(\d{1,20})\n?$/.exec(text) ?? [];
  return ns === undefined ? undefined : Number(ns) / 1e6;
}

/**
 * Memory of a cgroup that its processes have mapped, bytes: what they share counts once, the cache of files not at all.
 * Undefined where memory.stat is none. Pure.
 */
export function cgroupResidentBytes(text: string): number | undefined {
  const field = (name: string): number | undefined => {
    const [, value] = new RegExp(`^${name} (\\d{1,15})$`, 'm').exec(text) ?? [];
    return value === undefined ? undefined : Number(value);
  };
  // Version 1 has the same names for the cgroup alone, without those below it.
  const own = field('total_rss') ?? field('anon');
  const ofFiles = field('total_mapped_file') ?? field('file_mapped');
  return own === undefined ? undefined : own + (ofFiles ?? 0);
}

/** What a guest has used of processors; of storage only where it is one process. */
interface CountedTexts {
  readonly stat: string;
  readonly io: string;
  /** Of its cgroup's file. */
  readonly processor?: string | undefined;
}

/** Undefined where the process has ended, or its cgroup does not count. Pure. */
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
  // What the host receives on a tap is what its guest has sent.
  const counted = ports.filter((port) => links.has(port));
  const network =
    seen.length === 0 ? {} : { ports: counted, inBytes: sum('sent'), outBytes: sum('received') };
  const [readBytes, writtenBytes] = ['read_bytes', 'write_bytes'].map((name) => {
    const value = new RegExp(`^${name}: (\\d{1,19})$`, 'm').exec(io)?.[1];
    return value === undefined ? undefined : Number(value);
  });
  return { of: `${pid} ${line.startTicks}`, processorMs, readBytes, writtenBytes, ...network };
}

/** Two reads, of some µs each, whether it has a cgroup or not. */
export function readCounters(
  counted: CountedBy,
  links: ReadonlyMap<string, LinkBytes>,
  read: ReadProc = readProc,
): GuestCounters | undefined {
  const { pid, cgroup } = counted;
  const stat = read(`${pid}/stat`);
  // What one of several processes reads from storage says nothing of the others.
  const texts =
    cgroup === undefined
      ? { stat, io: read(`${pid}/io`) }
      : { stat, io: '', processor: read(cgroup.processor) };
  return countersOf(counted, texts, links);
}

/** A counter of the kernel's; 0 where it is none. Pure. */
export function countOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,19}$/.test(text) ? Number(text) : 0;
}
