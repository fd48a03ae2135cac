import type { Clock } from '../../../clock.ts';
import { toGodwitError } from '../../../errors.ts';
import type { ErrorCode } from '../../../errors.ts';
import type { Log } from '../../../log.ts';

/** A peer that says the same again and again fills no log: one line a minute tells how often it was. */
const LINE_MS = 60_000;
const REFUSED: ReadonlySet<ErrorCode> = new Set([
  'GODWIT_DESCRIPTION_REFUSED',
  'GODWIT_PROTOCOL_INVALID',
]);

/** Counts what this mover did not take of its source, and logs it. */
export class Refusals {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #peer: string;
  #count = 0;
  #toldAt: number | undefined;

  constructor(clock: Clock, log: Log, peer: string) {
    this.#clock = clock;
    this.#log = log;
    this.#peer = peer;
  }

  /** Does the work; a refusal of what the peer said is counted on its way to it. */
  async watch<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      const error = toGodwitError(thrown);
      if (REFUSED.has(error.code)) this.#tell(error.message);
      throw thrown;
    }
  }

  #tell(message: string): void {
    this.#count += 1;
    const now = this.#clock.monotonicMs();
    if (this.#toldAt !== undefined && now - this.#toldAt < LINE_MS) return;
    this.#toldAt = now;
    this.#log.warn({ peer: this.#peer, refused: this.#count, message }, 'refused what a peer said');
  }
}
