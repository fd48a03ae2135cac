import type { Sharing } from './cache/scope.ts';
import type { LevelChange } from './codec/policy.ts';
import type { Kind } from './codec/records.ts';
import type { LinkSession } from '../links/link-session.ts';
import { openSession } from '../links/open.ts';
import { End, NO_FIGURES } from './relay/relay-end.ts';
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

/** What a mover needs of the wire: its end of one hypervisor's stream, from a unix socket to the other mover. */

/** The host's cache as a migration uses it; absent where nothing is shared. */
export interface WireCache {
  readonly directory: string;
  readonly mostBytes: number;
  /** The site's secret, alike on all its hosts. */
  readonly secret: Uint8Array;
  /** Those that it replaced of late: they name what is kept from before, and a host that has only such a one is understood. */
  readonly earlier?: readonly Uint8Array[];
  readonly sharing: Exclude<Sharing, { with: 'none' }>;
  /** The other host: what was exchanged with it is all that it learns of. */
  readonly peer: string;
  /** Whether the circle's seeds may be used towards the peer. */
  readonly seeds: boolean;
  /** Where this guest's places are kept between its migrations with that host. */
  readonly placesFile: string;
}

export interface WireOptions extends SessionTerms {
  /** Bytes of guest memory: what is kept for each page is sized by it. */
  readonly memoryBytes: number;
  /** Processors that the codec may take. */
  readonly cores: number;
  readonly cache?: WireCache;
}

export interface SourceWireOptions extends WireOptions, SourceEndpoint {
  /** The guest goes over to post-copy as soon as memory flows. */
  readonly isSwitchedSoon?: boolean;
}

export interface TargetWireOptions extends WireOptions, TargetEndpoint {}

/** One end of the wire, from its opening until it is over. */
export type Wire = SessionEnd<WireFigures>;

export interface SourceWire extends Wire {
  /** Caps what this end sends, bytes/s; undefined: as much as the links and the host's budget let it. */
  limit(bytesPerS: number | undefined): void;
}

export interface TargetWire extends Wire {
  /** host:port on which it waits for the source's mover. */
  readonly address: string;
}

/** What went through, and how; for the report. */
export interface WireFigures {
  /** Bytes that the hypervisor sent. */
  readonly streamBytes: number;
  /** Bytes of frames that went over the links for them, what was sent twice included. */
  readonly linkBytes: number;
  /** Bytes of its return path. */
  readonly returnBytes: number;
  /** Pages and pieces of other bytes by how they were encoded. */
  readonly encoded: Readonly<Record<Kind, number>>;
  /** Contents that the far side turned out not to have. */
  readonly misses: number;
  readonly levelChanges: readonly LevelChange[];
  /** Processor time that this process took meanwhile, ms. */
  readonly processorMs: number;
  /** Times without any connection, and the longest, ms. */
  readonly cuts: number;
  readonly longestCutMs: number;
}

/** For how long the far side may take to open its cache and answer. */
const HELLO_MS = 30_000;

/** What is known of the migration's blocks, for the sessions that follow its first; a mover has one migration. */
let known: { readonly migration: string; readonly context: StreamContext } | undefined;

function contextOf(migration: string): StreamContext {
  if (known?.migration !== migration) known = { migration, context: new StreamContext() };
  return known.context;
}

/** Reaches the other mover, agrees with it, and makes the socket for the hypervisor. */
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

/** Listens for the other mover; what the hypervisor is to get comes once that has connected. */
export async function openTargetWire(options: TargetWireOptions): Promise<TargetWire> {
  const make = (session: LinkSession): End => new End(session, new TargetRelay(session, options));
  const { server, opened, stop } = await listenFor(options, make);
  return new ListeningEnd(server, opened, stop, NO_FIGURES);
}
