import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { endsOf, readTables, rowsIn, type Ends } from './tcp-table.ts';

/** What a stream writes between two looks at what the kernel keeps of it. */
export const LOOK_BYTES = 128 * 1024;
/** What the kernel may keep of a stream that goes on. */
const MAX_UNSENT = 512 * 1024;
const AGAIN_MS = 250;

/**
 * What the kernel keeps for readers that are slow: up to 4 MiB of each connection by its own default, which nothing in Node
 * can lower. A stream that asks here after each LOOK_BYTES keeps less than 1 MiB, with what the process holds.
 */
export class SendQueues {
  readonly #tables: () => Promise<string[]>;
  readonly #againMs: number;
  /** The look that begins next: whoever asks while another one is under way waits for this one. */
  #next: Promise<ReadonlyMap<Ends, number>> | undefined;
  #now: Promise<unknown> = Promise.resolve();

  constructor(tables: () => Promise<string[]> = readTables, againMs: number = AGAIN_MS) {
    this.#tables = tables;
    this.#againMs = againMs;
  }

  /** What resolves once the kernel keeps little enough for this connection, and rejects when its signal aborts. */
  roomFor(socket: Socket): (signal: AbortSignal) => Promise<void> {
    const ends = endsOf(socket);
    return async (signal) => {
      while (((await this.#look()).get(ends) ?? 0) > MAX_UNSENT)
        await sleep(this.#againMs, undefined, { signal });
    };
  }

  /** One that begins after it is asked for, and is one for all who ask meanwhile. */
  #look(): Promise<ReadonlyMap<Ends, number>> {
    this.#next ??= this.#now.then(() => {
      const look = this.#read();
      this.#next = undefined;
      this.#now = look;
      return look;
    });
    return this.#next;
  }

  /** Where the kernel does not say, nobody is held up. */
  async #read(): Promise<ReadonlyMap<Ends, number>> {
    const tables = await this.#tables().catch(() => []);
    const full = tables.flatMap((table) => rowsIn(table, ({ unsent }) => unsent > MAX_UNSENT));
    return new Map(full.map(({ ends, unsent }) => [ends, unsent]));
  }
}
