import { isIPv4 } from 'node:net';
import { defined } from '../protocol/defined.ts';

/** Parses the kernel's text tables under /proc: sockets and memory. Pure. */

export interface TcpSocket {
  /** Both ends in the kernel's notation: see `addressIn` and `portIn`. */
  readonly local: string;
  readonly remote: string;
  /** One of TCP_STATES, or another. */
  readonly state: string;
  /** Unacknowledged bytes. */
  readonly unsent: number;
  /** Retransmissions of their first segment. */
  readonly retransmits: number;
  readonly inode: string;
}

export const TCP_STATES = { established: '01', timeWait: '06', listen: '0A' } as const;

export function tcpSockets(table: string): TcpSocket[] {
  return table.split('\n').flatMap((line) => {
    // sl, local, remote, state, tx:rx queues, timer, retransmits, uid, timeout, inode, ...
    const [, local = '', remote = '', state = '', queues = '', , again = '', , , inode = ''] = line
      .trim()
      .split(/\s+/);
    if (!local.includes(':')) return [];
    const [unsent = ''] = queues.split(':', 1);
    return [{ local, remote, state, unsent: ofHex(unsent), retransmits: ofHex(again), inode }];
  });
}

/** The port of an end: `0100007F:1F90`. */
export function portIn(end: string): number {
  return ofHex(end.slice(end.lastIndexOf(':') + 1));
}

/** The address of an end, as `canonicalAddress` returns it; 32-bit words in the machine's byte order. */
export function addressIn(end: string): string {
  const words = end.split(':', 1)[0]?.match(/.{8}/g) ?? [];
  return withoutMapping(
    words.map((word) => (word.match(/../g) ?? []).toReversed().join('')).join(''),
  );
}

/** An IP address in canonical hexadecimal; IPv4 inside IPv6 becomes IPv4. */
export function canonicalAddress(address: string): string {
  const [bare = ''] = address.split('%', 1);
  if (isIPv4(bare)) return hexOfV4(bare);
  const inGroups = bare.replace(/\d{1,3}(?:\.\d{1,3}){3}$/, (v4) =>
    hexOfV4(v4).replace(/(?=.{4}$)/, ':'),
  );
  const [head = '', tail] = inGroups.split('::', 2);
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = tail === undefined ? before : [...before, ...zeros, ...after];
  return withoutMapping(all.map((group) => group.padStart(4, '0')).join(''));
}

/** Ports of a range without a listener in both TCP tables. */
export function freePortsIn(
  tables: readonly string[],
  { from, to }: { readonly from: number; readonly to: number },
): number {
  const ports = tables
    .flatMap(tcpSockets)
    .filter(({ state }) => state === TCP_STATES.listen)
    .map(({ local }) => portIn(local))
    .filter((port) => port >= from && port <= to);
  return to - from + 1 - new Set(ports).size;
}

export interface UnixSocket {
  readonly isListening: boolean;
  readonly inode: string;
  /** A path, or an abstract name after `@`; absent if unbound. */
  readonly boundTo?: string;
}

/** Num, RefCount, Protocol, Flags, Type, St, Inode, and Path, which may contain blanks. */
const UNIX_ROW =
  /^[\da-f]+: [\da-f]{8} [\da-f]{8} ([\da-f]{8}) [\da-f]{4} [\da-f]{2} +(\d+)(?: ([^]+)?)?$/i;
/** __SO_ACCEPTCON of linux/net.h. */
const ACCEPTS_CONNECTIONS = '00010000';

export function unixSockets(table: string): UnixSocket[] {
  return table.split('\n').flatMap((line) => {
    const [, flags, inode, boundTo] = UNIX_ROW.exec(line) ?? [];
    if (flags === undefined || inode === undefined) return [];
    const isListening = flags === ACCEPTS_CONNECTIONS;
    return [{ isListening, inode, ...defined({ boundTo }) }];
  });
}

/** /proc/meminfo, bytes. Available: the kernel's estimate of memory without swapping. */
export function parseMemory(text: string): { totalBytes: number; availableBytes: number } {
  const kib = (name: string): number =>
    Number(new RegExp(`^${name}:\\s*(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);
  return {
    totalBytes: kib('MemTotal') * 1024,
    availableBytes: (kib('MemAvailable') || kib('MemFree')) * 1024,
  };
}

function ofHex(text: string): number {
  return Number.parseInt(text, 16) || 0;
}

function hexOfV4(address: string): string {
  return Buffer.from(address.split('.').map(Number)).toString('hex');
}

/** IPv4 on a dual-stack socket is mapped to IPv4. */
function withoutMapping(hex: string): string {
  return hex.toLowerCase().replace(/^0{20}ffff(?=.{8}$)/, '');
}
