import { readFileSync } from 'node:fs';
import type { GuestCounters } from '../migration/load-history.ts';
import { readStat } from './process.ts';

/** The kernel's clock for processes, Hz; the same on every x86-64. */
const MS_PER_TICK = 10;

/** Where what a guest uses is counted. */
export interface CountedBy {
  /** All of it is this process. */
  readonly pid: number;
  /** Its links on this host; none where they are not known. */
  readonly ports: readonly string[];
}

/** Text of a file under /proc; '' where it cannot be read. */
export type ReadProc = (file: string) => string;

export const readProc: ReadProc = (file) => {
  try {
    return readFileSync(`/proc/${file}`, 'latin1');
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
    const [, name, rest = ''] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    const fields = rest.split(/\s+/);
    return name === undefined
      ? []
      : [[name, { received: countOf(fields[0]), sent: countOf(fields[8]) }] as const];
  });
  return new Map(lines);
}

/** Undefined where the process has ended. Pure. */
export function countersOf(
  { pid, ports }: CountedBy,
  stat: string,
  io: string,
  links: ReadonlyMap<string, LinkBytes>,
): GuestCounters | undefined {
  const line = readStat(stat);
  if (line === undefined || line.hasEnded) return undefined;
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
  const processorMs = line.usedTicks * MS_PER_TICK;
  return { of: `${pid} ${line.startTicks}`, processorMs, readBytes, writtenBytes, ...network };
}

/** Two reads, of some µs each. */
export function readCounters(
  counted: CountedBy,
  links: ReadonlyMap<string, LinkBytes>,
  read: ReadProc = readProc,
): GuestCounters | undefined {
  return countersOf(counted, read(`${counted.pid}/stat`), read(`${counted.pid}/io`), links);
}

/** A counter of the kernel's; 0 where it is none. Pure. */
export function countOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,19}$/.test(text) ? Number(text) : 0;
}
