import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import type { StreamContext } from '../stream/context.ts';
import type { Encoding } from './encoding.ts';
import type { Plug } from './plug.ts';
import { StreamItems } from './stream-items.ts';

/** An item's first part waits so long for the rest; a hypervisor writes whole items, so the rest is on its way. */
const HELD_MS = 10;
/**
 * And so many turns of the event loop after that. On a busy host this process may itself have stood still for that
 * long: the first turn reads what has come meanwhile, the second what a hypervisor that stood still too writes then.
 */
const HELD_TURNS = 2;

export interface SourceConnectionParts {
  readonly plug: Plug;
  readonly context: StreamContext;
  readonly encoding: Encoding;
  /** Bytes were read from the hypervisor. */
  readonly count: (bytes: number) => void;
  /** Whether more may be read now; `again`: after it could not, for which there must be clearly more room. */
  readonly room: (firstRound: boolean, again: boolean) => boolean;
  /** Resolves when that may have changed. */
  readonly changed: () => Promise<void>;
}

/** Reads one connection of the source's hypervisor into its encoder until it ends. */
export class SourceConnection {
  readonly #parts: SourceConnectionParts;
  readonly #items: StreamItems;
  /** Something was added that may wait in the encoder still. */
  #waits = false;

  constructor(parts: SourceConnectionParts) {
    this.#parts = parts;
    this.#items = new StreamItems(parts.context);
  }

  /** Resolves when all of it was sent: true where the hypervisor has ended it, false where it broke. */
  async run(): Promise<boolean> {
    const { plug, encoding } = this.#parts;
    while (plug.state === 'open' || plug.readable) {
      const chunk = plug.read();
      if (chunk !== undefined) await this.#take(chunk);
      else if (this.#waits) await this.#pause();
      else if (this.#items.heldBytes > 0) await this.#waitForRest();
      else await plug.wait();
    }
    if (plug.state === 'broken') return false;
    await encoding.add(this.#items.end());
    await encoding.flush();
    return true;
  }

  async #take(chunk: Buffer): Promise<void> {
    const { encoding, count, room, changed } = this.#parts;
    count(chunk.length);
    await encoding.add(this.#items.push(chunk));
    this.#waits = true;
    if (room(this.#items.firstRound, false)) return;
    // What is to make room must be on its way.
    await this.#push();
    while (!room(this.#items.firstRound, true)) await changed();
  }

  /** Nothing is there to be read: what was read goes out, unless more has come with the next turn of the loop. */
  async #pause(): Promise<void> {
    await nextTurn();
    if (!this.#parts.plug.readable) await this.#push();
  }

  async #waitForRest(): Promise<void> {
    const { plug, encoding } = this.#parts;
    const stop = new AbortController();
    const late = sleep(HELD_MS, true, { signal: stop.signal }).catch(() => false);
    await Promise.race([late, plug.wait()]);
    stop.abort();
    if (plug.readable || !(await late)) return;
    for (let turn = 0; turn < HELD_TURNS; turn += 1) {
      await nextTurn();
      if (plug.readable) return;
    }
    await encoding.add(this.#items.flush());
    await this.#push();
  }

  async #push(): Promise<void> {
    await this.#parts.encoding.push();
    this.#waits = false;
  }
}
