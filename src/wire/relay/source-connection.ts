import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StreamContext } from '../stream/context.ts';
import type { Encoding } from './encoding.ts';
import type { LocalSocket } from '../../links/local-socket.ts';
import { StreamItems } from './stream-items.ts';

/** Wait for the rest of an incomplete item, ms: a hypervisor writes whole items, so it is on its way. */
const HELD_MS = 10;
/**
 * Additional event loop turns. On a busy host this process may have stalled for that long: the first turn reads
 * data that has arrived meanwhile, the second data of a hypervisor that stalled too.
 */
const HELD_TURNS = 2;
/**
 * Wait for more pre-copy pages, ms: each batch takes several messages between threads and over the links,
 * however small.
 */
const GATHER_MS = 4;

export interface SourceConnectionDependencies {
  readonly socket: LocalSocket;
  readonly context: StreamContext;
  readonly encoding: Encoding;
  /** Called with bytes read from the hypervisor. */
  readonly count: (bytes: number) => void;
  /** True if more may be read now. `again`: after a refusal, which requires clearly more room. */
  readonly room: (round: number, again: boolean) => boolean;
  /** Resolves when that may have changed. */
  readonly changed: () => Promise<void>;
  /** Pages may wait for more. */
  readonly gathers: boolean;
}

/** Reads one connection of the source's hypervisor into its encoder until it ends. */
export class SourceConnection {
  readonly #deps: SourceConnectionDependencies;
  readonly #items: StreamItems;
  /** Start of the wait of unsent items in the encoder. */
  #waitsFromMs: number | undefined;

  constructor(deps: SourceConnectionDependencies) {
    this.#deps = deps;
    this.#items = new StreamItems(deps.context);
  }

  /** Resolves once everything was sent: true if the hypervisor ended the connection, false if it broke. */
  async run(): Promise<boolean> {
    const { socket, encoding } = this.#deps;
    while (socket.state === 'open' || socket.readable) {
      const chunk = socket.read();
      if (chunk !== undefined) await this.#take(chunk);
      else if (this.#waitsFromMs !== undefined) await this.#pause();
      else if (this.#items.heldBytes > 0) await this.#waitForRest();
      else await socket.wait();
    }
    if (socket.state === 'broken') return false;
    await encoding.add(this.#items.end());
    await encoding.flush();
    return true;
  }

  async #take(chunk: Buffer): Promise<void> {
    const { encoding, count, room, changed } = this.#deps;
    count(chunk.length);
    await encoding.add(this.#items.push(chunk));
    this.#waitsFromMs ??= performance.now();
    if (room(this.#items.round, false)) return;
    // Sends first, because only sent data can make room.
    await this.#push();
    while (!room(this.#items.round, true)) await changed();
  }

  /** There is nothing to read: sends the read items unless more arrives in the next turn of the loop. */
  async #pause(): Promise<void> {
    const { socket, gathers } = this.#deps;
    await nextTurn();
    if (socket.readable) return;
    const leftMs = (this.#waitsFromMs ?? 0) + GATHER_MS - performance.now();
    const mayWait = gathers && this.#items.patient && leftMs > 0 && socket.state === 'open';
    if (!mayWait || !(await socket.wait(leftMs))) await this.#push();
  }

  async #waitForRest(): Promise<void> {
    const { socket, encoding } = this.#deps;
    if (await socket.wait(HELD_MS)) return;
    for (let turn = 0; turn < HELD_TURNS; turn += 1) {
      await nextTurn();
      if (socket.readable) return;
    }
    await encoding.add(this.#items.flush());
    await this.#push();
  }

  async #push(): Promise<void> {
    await this.#deps.encoding.push();
    this.#waitsFromMs = undefined;
    this.#items.pushed();
  }
}
