import { readFile } from 'node:fs/promises';
import type { Socket } from 'node:net';
import {
  addressIn,
  canonicalAddress,
  portIn,
  TCP_STATES,
  tcpSockets,
  type TcpSocket,
} from '../system/kernel-tables.ts';

/** The kernel's lists of TCP connections, of this network namespace. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];

/** Both ends of a connection, alike however they are written. */
export type Ends = string;

/** What the kernel reports of one connection. */
type Sending = Pick<TcpSocket, 'unsent' | 'retransmits'>;

export interface TcpRow extends Sending {
  readonly ends: Ends;
}

export async function readTables(): Promise<string[]> {
  const texts = await Promise.all(
    // A kernel without IPv6 has one of them.
    TABLES.map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  if (texts.every((text) => text === '')) throw new Error(`${TABLES.join(' and ')} say nothing`);
  return texts;
}

/** The connections of a kernel's list that are open; `isWanted` sees a row's numbers before its ends are read. */
export function rowsIn(table: string, isWanted: (row: Sending) => boolean): TcpRow[] {
  return tcpSockets(table)
    .filter((row) => row.state === TCP_STATES.established && isWanted(row))
    .map(({ local, remote, unsent, retransmits }) => ({
      ends: `${endIn(local)} ${endIn(remote)}`,
      unsent,
      retransmits,
    }));
}

export function endsOf(
  socket: Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>,
): Ends {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  return `${endOf(localAddress, localPort)} ${endOf(remoteAddress, remotePort)}`;
}

const endIn = (end: string): string => `${addressIn(end)}:${portIn(end)}`;
const endOf = (address = '', port = 0): string => `${canonicalAddress(address)}:${port}`;
