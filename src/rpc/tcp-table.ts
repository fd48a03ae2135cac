import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import type { Socket } from 'node:net';

/** The kernel's lists of TCP connections, of this network namespace. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const ESTABLISHED = '01';

/** Both ends of a connection, alike however they are written. */
export type Ends = string;

/** What the kernel reports of one connection. */
export interface TcpRow {
  readonly ends: Ends;
  /** What was written and is not acknowledged yet, bytes. */
  readonly unsent: number;
  /** How often what is first of that was sent again. */
  readonly retransmits: number;
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
export function rowsIn(
  table: string,
  isWanted: (row: Pick<TcpRow, 'unsent' | 'retransmits'>) => boolean,
): TcpRow[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      // sl, local, remote, state, tx:rx queues, timer, retransmits, ...
      const [, local = '', remote = '', state, queues = '', , again = '0'] = line
        .trim()
        .split(/\s+/);
      const [unsent = '0'] = queues.split(':', 1);
      const row = { unsent: Number.parseInt(unsent, 16), retransmits: Number.parseInt(again, 16) };
      if (state !== ESTABLISHED || !isWanted(row)) return [];
      return [{ ...row, ends: `${endIn(local)} ${endIn(remote)}` }];
    });
}

export function endsOf(
  socket: Pick<Socket, 'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'>,
): Ends {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  return `${endOf(localAddress, localPort)} ${endOf(remoteAddress, remotePort)}`;
}

/** `0100007F:1F90`: 32-bit words of the address in the byte order of the machine, and the port. */
function endIn(text: string): string {
  const [words = '', port = ''] = text.split(':');
  const address = (words.match(/.{8}/g) ?? [])
    .map((word) => Buffer.from(word, 'hex').reverse().toString('hex'))
    .join('');
  return `${plain(address)}:${Number.parseInt(port, 16)}`;
}

function endOf(address = '', port = 0): string {
  const [bare = ''] = address.split('%');
  if (isIPv4(bare)) return `${ofV4(bare)}:${port}`;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  if (mapped !== undefined) return `${ofV4(mapped)}:${port}`;
  const [head = '', tail] = bare.split('::', 2);
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [before, after] = [groups(head), groups(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  const all = tail === undefined ? before : [...before, ...zeros, ...after];
  return `${plain(all.map((group) => group.padStart(4, '0')).join(''))}:${port}`;
}

function ofV4(address: string): string {
  return Buffer.from(address.split('.').map(Number)).toString('hex');
}

/** An IPv4 address that a socket for both families shows is that address. */
function plain(hex: string): string {
  return hex.toLowerCase().replace(/^0{20}ffff(?=.{8}$)/, '');
}
