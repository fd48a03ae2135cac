import { toGodwitError } from '../../errors.ts';
import type { EncodeTally } from '../codec/thread-messages.ts';
import { KINDS, type Kind } from '../codec/records.ts';
import type { LinkSession } from '../../links/link-session.ts';
import type { SourceWire, WireFigures } from '../open.ts';
import type { LinkMeasure } from '../../links/session.ts';

/** What the two relays have in common. */
export interface Relay {
  readonly failed: Promise<never>;
  readonly figures: RelayFigures;
  close(deadlineMs: number): Promise<void>;
  fail(error: unknown): void;
}

export interface RelayFigures {
  readonly streamBytes: number;
  readonly returnBytes: number;
  readonly tallies: readonly EncodeTally[];
}

/** One end of the wire: a session, and the relay over it. */
export class End implements SourceWire {
  readonly ended: Promise<void>;
  readonly #session: LinkSession;
  readonly #relay: Relay;
  readonly #from = process.cpuUsage();

  constructor(session: LinkSession, relay: Relay) {
    this.#session = session;
    this.#relay = relay;
    this.ended = Promise.race([session.ended, relay.failed]);
    this.ended.catch(() => undefined);
  }

  get measure(): LinkMeasure {
    return this.#session.measure;
  }

  limit(bytesPerS: number | undefined): void {
    this.#session.setRate(bytesPerS);
  }

  figures(): WireFigures {
    const { streamBytes, returnBytes, tallies } = this.#relay.figures;
    const { sentBytes, receivedBytes, cuts, longestCutMs } = this.#session.counters;
    const { user, system } = process.cpuUsage(this.#from);
    return {
      streamBytes,
      linkBytes: sentBytes + receivedBytes,
      returnBytes,
      ...sumOf(tallies),
      processorMs: (user + system) / 1000,
      cuts,
      longestCutMs,
    };
  }

  async close(deadlineMs: number): Promise<void> {
    const untilMs = performance.now() + deadlineMs;
    try {
      await this.#relay.close(deadlineMs);
      await this.#session.close(Math.max(100, untilMs - performance.now()));
    } catch (error) {
      this.abort(toGodwitError(error));
    }
  }

  abort(error: Error): void {
    this.#relay.fail(error);
  }
}

function sumOf(
  tallies: readonly EncodeTally[],
): Pick<WireFigures, 'encoded' | 'misses' | 'levelChanges'> {
  const encoded = { ...NONE_ENCODED };
  for (const tally of tallies) {
    for (const kind of KIND_NAMES) encoded[kind] += tally.encoded[kind];
  }
  return {
    encoded,
    misses: tallies.reduce((sum, { misses }) => sum + misses, 0),
    levelChanges: tallies[0]?.levelChanges ?? [],
  };
}

const KIND_NAMES = Object.keys(KINDS) as Kind[];
const NONE_ENCODED = Object.fromEntries(KIND_NAMES.map((kind) => [kind, 0])) as Record<
  Kind,
  number
>;
export const NO_FIGURES: WireFigures = {
  streamBytes: 0,
  linkBytes: 0,
  returnBytes: 0,
  encoded: NONE_ENCODED,
  misses: 0,
  levelChanges: [],
  processorMs: 0,
  cuts: 0,
  longestCutMs: 0,
};
