import type { Socket } from 'node:net';
import type { Log } from '../log.ts';
import { endsOf, readTables, rowsIn, type Ends } from './tcp-table.ts';

const LOOK_MS = 5000;
/** A peer that has acknowledged nothing of what it was sent for so long is gone. */
const GONE_MS = 30_000;

/**
 * Drops connections whose peers have vanished without a word. A write to one of them succeeds for as long as the kernel's
 * buffer has room, and the kernel tries for a quarter of an hour; but it shows which connections it sends again and again
 * without an answer. A peer that reads slowly, or not at all, acknowledges: `stallMs` is for that one.
 */
export class VanishedPeerWatch {
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
      this.#log.info({ from: socket.remoteAddress }, 'client vanished: connection closed');
      socket.destroy();
    }
  }

  #later(): NodeJS.Timeout {
    const look = async (): Promise<void> => {
      try {
        await this.look(performance.now());
      } catch (error) {
        this.#log.error({ error }, 'list of TCP connections cannot be read');
      }
      if (this.#watched.size > 0) this.#timer = this.#later();
    };
    return setTimeout(() => void look(), LOOK_MS).unref();
  }
}

/** The connections of a kernel's list that it sends something again of which nothing was acknowledged. */
export function unheardIn(table: string): Ends[] {
  return rowsIn(table, ({ retransmits }) => retransmits > 0).map(({ ends }) => ends);
}
