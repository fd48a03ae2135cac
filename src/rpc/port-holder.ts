import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  addressIn,
  canonicalAddress,
  portIn,
  TCP_STATES,
  tcpSockets,
  unixSockets,
} from '../system/kernel-tables.ts';
import { opens, pids } from '../system/processes/process.ts';

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
  const found = unixSockets(textOf('/proc/net/unix')).filter(
    ({ boundTo, isListening }) => boundTo === file && isListening,
  );
  return holderOf(found.map(({ inode }) => inode));
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
  return tcpSockets(table)
    .filter(({ state, local }) => state === TCP_STATES.listen && portIn(local) === port)
    .filter(({ local }) => isThere(addressIn(local), host))
    .map(({ inode }) => inode);
}

const ALL = new Set(['0.0.0.0', '::']);

/** By address, in the form of `canonicalAddress`; one of zeros alone is all of them. */
function isThere(address: string, host: string): boolean {
  return (
    isIP(host) === 0 || ALL.has(host) || /^0+$/.test(address) || address === canonicalAddress(host)
  );
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
