import { setImmediate as nextTurn } from 'node:timers/promises';
import type { StreamContext } from '../stream/context.ts';
import type { Encoding } from './encoding.ts';
import type { LocalSocket } from '../../links/local-socket.ts';
import { StreamItems } from './stream-items.ts';

/** An item's first part waits so long for the rest; a hypervisor writes whole items, so the rest is on its way. */
const HELD_MS = 10;
/**
 * And so many turns of the event loop after that. On a busy host this process may itself have been stalled for that
 * long: the first turn reads what has come meanwhile, the second what a hypervisor that stalled too writes then.
 */
const HELD_TURNS = 2;
/**
 * Pages of pre-copy, which nobody waits for, wait so long for more of them: each batch is several messages between
 * threads and over the links, however little is in it.
 */
const GATHER_MS = 4;

export interface SourceConnectionDependencies {
  readonly socket: LocalSocket;
  readonly context: StreamContext;
  readonly encoding: Encoding;
  /** Bytes were read from the hypervisor. */
  readonly count: (bytes: number) => void;
  /** Whether more may be read now; `again`: after it could not, for which there must be clearly more room. */
  readonly room: (round: number, again: boolean) => boolean;
  /** Resolves when that may have changed. */
  readonly changed: () => Promise<void>;
  /** Whether pages may wait for more of them. */
  readonly gathers: boolean;
}

/** Reads one connection of the source's hypervisor into its encoder until it ends. */
export class SourceConnection {
  readonly #deps: SourceConnectionDependencies;
  readonly #items: StreamItems;
  /** Since when something waits in the encoder that was not pushed on. */
  #waitsFromMs: number | undefined;

  constructor(deps: SourceConnectionDependencies) {
    this.#deps = deps;
    this.#items = new StreamItems(deps.context);
  }

  /** Resolves when all of it was sent: true where the hypervisor has ended it, false where it broke. */
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
    // What is to make room must be on its way.
    await this.#push();
    while (!room(this.#items.round, true)) await changed();
  }

  /** Nothing is there to be read: what was read goes out, unless more has come with the next turn of the loop. */
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
