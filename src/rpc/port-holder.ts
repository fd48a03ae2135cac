import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import path from 'node:path';
import { pids } from '../host/process.ts';

/** A process that listens on a port of this host. */
export interface PortHolder {
  readonly pid: number;
  /** The name of its program, as the kernel has it: 15 characters at most. */
  readonly program: string;
}

/** Who listens there; undefined where nobody does, or where this user may not see who. */
export function holderOfPort({
  host,
  port,
}: {
  host: string;
  port: number;
}): PortHolder | undefined {
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map(textOf);
  return holderOf(tables.flatMap((table) => listening(table, host, port)));
}

/** Why one cannot listen there, in words. */
export function whyNotThere(
  { code, message }: NodeJS.ErrnoException,
  at: { readonly host: string; readonly port: number },
): string {
  const holder = code === 'EADDRINUSE' ? holderOfPort(at) : undefined;
  return holder === undefined ? message : `${holder.program}, process ${holder.pid}, has that port`;
}

/** Who listens on that unix socket, in the same way. */
export function holderOfSocket(file: string): PortHolder | undefined {
  const lines = textOf('/proc/net/unix').split('\n');
  // Flag 00010000 is a socket that listens.
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return holderOf(
    fields.flatMap((each) => (each[7] === file && each[3] === '00010000' ? (each[6] ?? []) : [])),
  );
}

/** For a message about a unix socket that is served already. */
export function whoServes(file: string): string {
  const holder = holderOfSocket(file);
  return holder === undefined ? 'another process' : `${holder.program}, process ${holder.pid},`;
}

function holderOf(inodes: readonly string[]): PortHolder | undefined {
  const wanted = new Set(inodes.map((inode) => `socket:[${inode}]`));
  if (wanted.size === 0) return undefined;
  const pid = pids().find((each) => opens(each, (target) => wanted.has(target)));
  return pid === undefined ? undefined : { pid, program: textOf(`/proc/${pid}/comm`).trim() };
}

/** The inodes of the sockets that listen there, from the kernel's table: on that address, or on all. */
export function listening(table: string, host: string, port: number): string[] {
  return table
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local = '', , state]) => {
      const [address = '', hex = ''] = local.split(':');
      // 0A is LISTEN.
      return (
        state === '0A' && Number.parseInt(hex, 16) === port && isThere(addressIn(address), host)
      );
    })
    .flatMap((fields) => fields[9] ?? []);
}

const ALL = new Set(['0.0.0.0', '::']);

function isThere(address: string, host: string): boolean {
  return isIP(host) === 0 || ALL.has(host) || ALL.has(address) || address === plain(host);
}

/** An address as the kernel's tables have it: 32-bit words in hexadecimal, each with its last byte first. */
function addressIn(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = words.flatMap((word) => (word.match(/../g) ?? []).toReversed());
  if (bytes.length === 4) return bytes.map((byte) => Number.parseInt(byte, 16)).join('.');
  const groups = bytes.flatMap((byte, at) => (at % 2 === 0 ? [byte + (bytes[at + 1] ?? '')] : []));
  return plain(groups.join(':'));
}

/** One way to write each address; an IPv4 address inside of IPv6 is that. */
function plain(address: string): string {
  if (!isIPv6(address)) return address;
  const { hostname } = new URL(`http://[${address}]`);
  const mapped = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/.exec(hostname);
  if (mapped === null) return hostname.slice(1, -1);
  const [high = 0, low = 0] = mapped.slice(1).map((group) => Number.parseInt(group, 16));
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** Whether a process has a file open of which that is so; false where this user may not see its files. */
export function opens(pid: number, isIt: (target: string) => boolean): boolean {
  const dir = `/proc/${pid}/fd`;
  try {
    return readdirSync(dir).some((fd) => isIt(linkOf(path.join(dir, fd))));
  } catch {
    return false;
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
