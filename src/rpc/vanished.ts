import { readFile } from 'node:fs/promises';
import { isIPv4 } from 'node:net';
import type { Socket } from 'node:net';
import type { Log } from '../log.ts';

/** The kernel's lists of TCP connections, of this network namespace. */
const TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const ESTABLISHED = '01';
const LOOK_MS = 5000;
/** A peer that has acknowledged nothing of what it was sent for so long is gone. */
const GONE_MS = 30_000;

/** Both ends of a connection, alike however they are written. */
type Ends = string;

/**
 * Drops connections whose peers have vanished without a word. A write to one of them succeeds for as long as the kernel's
 * buffer has room, and the kernel tries for a quarter of an hour; but it tells which connections it sends again and again
 * without an answer. A peer that reads slowly, or not at all, acknowledges: `stallMs` is for that one.
 */
export class Vanished {
  readonly #log: Log;
  readonly #tables: () => Promise<string[]>;
  readonly #watched = new Set<Socket>();
  /** Since when nothing is acknowledged, ms of performance.now(). */
  readonly #silent = new WeakMap<Socket, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Log, tables: () => Promise<string[]> = readTables) {
    this.#log = log;
    this.#tables = tables;
  }

  /** Until it closes; may be repeated. */
  watch(socket: Socket): void {
    if (socket.destroyed || this.#watched.has(socket)) return;
    this.#watched.add(socket);
    socket.once('close', () => {
      this.#watched.delete(socket);
      if (this.#watched.size > 0) return;
      clearTimeout(this.#timer);
      this.#timer = undefined;
    });
    this.#timer ??= this.#later();
  }

  get size(): number {
    return this.#watched.size;
  }

  /** Looks at once; `nowMs` as of performance.now(). */
  async look(nowMs: number): Promise<void> {
    const unheard = new Set((await this.#tables()).flatMap(unheardIn));
    for (const socket of Array.from(this.#watched)) {
      if (!unheard.has(endsOf(socket))) {
        this.#silent.delete(socket);
        continue;
      }
      const sinceMs = this.#silent.get(socket) ?? nowMs;
      this.#silent.set(socket, sinceMs);
      if (nowMs - sinceMs < GONE_MS) continue;
      this.#log.info(
        { from: socket.remoteAddress },
        'a client has vanished: its connection is closed',
      );
      socket.destroy();
    }
  }

  #later(): NodeJS.Timeout {
    const look = async (): Promise<void> => {
      try {
        await this.look(performance.now());
      } catch (error) {
        this.#log.error({ error }, 'the list of TCP connections cannot be read');
      }
      if (this.#watched.size > 0) this.#timer = this.#later();
    };
    return setTimeout(() => void look(), LOOK_MS).unref();
  }
}

async function readTables(): Promise<string[]> {
  const texts = await Promise.all(
    // A kernel without IPv6 has one of them.
    TABLES.map((file) => readFile(file, 'utf8').catch(() => '')),
  );
  if (texts.every((text) => text === '')) throw new Error(`${TABLES.join(' and ')} say nothing`);
  return texts;
}

/** The connections of a kernel's list that it sends something again of which nothing was acknowledged. */
export function unheardIn(table: string): Ends[] {
  return table
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      // sl, local, remote, state, queues, timer, retransmits, ...
      const [, local = '', remote = '', state, , , retransmits = '0'] = line.trim().split(/\s+/);
      if (state !== ESTABLISHED || Number.parseInt(retransmits, 16) === 0) return [];
      return [`${endIn(local)} ${endIn(remote)}`];
    });
}

function endsOf({ localAddress, localPort, remoteAddress, remotePort }: Socket): Ends {
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
