import { readFileSync } from 'node:fs';
import type { GuestCounters } from '../migration/load-history.ts';

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

/** Bytes that came from the guest and went to it, by the name of its link: /proc/net/dev. Pure. */
export function parsePorts(text: string): ReadonlyMap<string, { from: number; to: number }> {
  const lines = text.split('\n').flatMap((line) => {
    const [, name, rest = ''] = /^\s*([^\s:]+):\s*(.*)$/.exec(line) ?? [];
    const fields = rest.split(/\s+/);
    // What the host receives on a tap is what its guest has sent.
    return name === undefined
      ? []
      : [[name, { from: countOf(fields[0]), to: countOf(fields[8]) }] as const];
  });
  return new Map(lines);
}

/** Undefined where the process has ended. Pure. */
export function countersOf(
  { pid, ports }: CountedBy,
  stat: string,
  io: string,
  links: ReadonlyMap<string, { from: number; to: number }>,
): GuestCounters | undefined {
  // Field 2 is the program's name in brackets, which may itself hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system, began] = [14, 15, 22].map((field) => fields[field - 3]);
  if (began === undefined || !/^\d+$/.test(began)) return undefined;
  const seen = ports.flatMap((port) => links.get(port) ?? []);
  const sum = (way: 'from' | 'to'): number => seen.reduce((all, each) => all + each[way], 0);
  const network = seen.length === 0 ? {} : { inBytes: sum('to'), outBytes: sum('from') };
  const [readBytes, writtenBytes] = ['read_bytes', 'write_bytes'].map((name) => {
    const value = new RegExp(`^${name}: (\\d{1,19})$`, 'm').exec(io)?.[1];
    return value === undefined ? undefined : Number(value);
  });
  const processorMs = (countOf(user) + countOf(system)) * MS_PER_TICK;
  return { of: `${pid} ${began}`, processorMs, readBytes, writtenBytes, ...network };
}

/** Two reads, of some µs each. */
export function readCounters(
  counted: CountedBy,
  links: ReadonlyMap<string, { from: number; to: number }>,
  read: ReadProc = readProc,
): GuestCounters | undefined {
  return countersOf(counted, read(`${counted.pid}/stat`), read(`${counted.pid}/io`), links);
}

function countOf(text: string | undefined): number {
  return text !== undefined && /^\d{1,19}$/.test(text) ? Number(text) : 0;
}
