import { toGodwitError } from '../errors.ts';
import type { WireCache } from './cache/circles.ts';
import type { LevelChange } from './codec/policy.ts';
import { KINDS, type Kind } from './codec/records.ts';
import type { EncodeTally } from './codec/thread-messages.ts';
import type { LinkSession } from '../links/link-session.ts';
import { openSession } from '../links/open.ts';
import type { LinkMeasure } from '../links/session.ts';
import type { Relay } from './relay/relay.ts';
import { SourceRelay } from './relay/source.ts';
import { TargetRelay } from './relay/target.ts';
import { StreamContext } from './stream/context.ts';
import {
  listenFor,
  ListeningEnd,
  sessionOptions,
  type SessionTerms,
  type SourceEndpoint,
  type TargetEndpoint,
  type SessionEnd,
} from '../links/endpoint.ts';

/** Mover's interface of the wire: its end of one hypervisor's stream, from a unix socket to the other mover. */

export interface WireOptions extends SessionTerms {
  /** Guest memory, bytes: the per-page memory depends on it. */
  readonly memoryBytes: number;
  readonly cores: number;
  readonly cache?: WireCache;
}

export interface SourceWireOptions extends WireOptions, SourceEndpoint {
  /** The guest switches to post-copy as soon as memory flows. */
  readonly isSwitchedSoon?: boolean;
}

export interface TargetWireOptions extends WireOptions, TargetEndpoint {}

export type Wire = SessionEnd<WireFigures>;

export interface SourceWire extends Wire {
  /** Limits this end's rate, bytes/s; undefined: only by the links and the host's budget. */
  limit(bytesPerS: number | undefined): void;
}

export interface TargetWire extends Wire {
  /** host:port at which it waits for the source's mover. */
  readonly address: string;
}

export interface WireFigures {
  readonly streamBytes: number;
  /** Frame bytes on the links, including repeated ones. */
  readonly linkBytes: number;
  readonly returnBytes: number;
  /** Pages and pieces of other bytes, by encoding. */
  readonly encoded: Readonly<Record<Kind, number>>;
  /** Referenced contents that the far side lacked. */
  readonly misses: number;
  readonly levelChanges: readonly LevelChange[];
  /** Processor time of this process, ms. */
  readonly processorMs: number;
  /** Count of times without any connection, and the longest, ms. */
  readonly cuts: number;
  readonly longestCutMs: number;
}

class End implements SourceWire {
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

/** Time for the far side to open its cache and answer, ms. */
const HELLO_MS = 30_000;

/** Block context of the migration, for sessions after the first; a mover has one migration. */
let known: { readonly migration: string; readonly context: StreamContext } | undefined;

function contextOf(migration: string): StreamContext {
  if (known?.migration !== migration) known = { migration, context: new StreamContext() };
  return known.context;
}

/** Connects to the other mover, negotiates, and creates the hypervisor's socket. */
export async function openSourceWire(options: SourceWireOptions): Promise<SourceWire> {
  const session = await openSession({ ...sessionOptions(options), ...options });
  const context = contextOf(options.migration);
  const { maxBytesPerS = Infinity, saidBytesPerS = Infinity } = options;
  const relay = await SourceRelay.open(session, {
    ...options,
    context,
    helloMs: HELLO_MS,
    saidBytesPerS: Math.min(maxBytesPerS, saidBytesPerS),
  });
  return new End(session, relay);
}

/** Listens for the other mover; the hypervisor's data follows after its connection. */
export async function openTargetWire(options: TargetWireOptions): Promise<TargetWire> {
  const make = (session: LinkSession): End => new End(session, new TargetRelay(session, options));
  const { server, opened, stop } = await listenFor(options, make);
  return new ListeningEnd(server, opened, stop, NO_FIGURES);
}
