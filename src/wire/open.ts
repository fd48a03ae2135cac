import { silentLog } from '../log.ts';
import type { Log } from '../log.ts';
import type { Credentials } from '../rpc/tls.ts';
import type { Sharing } from './cache/scope.ts';
import type { LevelChange } from './codec/policy.ts';
import type { Kind } from './codec/records.ts';
import type { Budget } from './links/budget.ts';
import type { SessionOptions } from './links/link-session.ts';
import { openSession } from './links/open.ts';
import { SessionServer } from './links/server.ts';
import { SourceRelay } from './relay/source.ts';
import { TargetRelay } from './relay/target.ts';
import { End, Listening } from './relay/end.ts';
import type { LinkMeasure } from './session.ts';
import { StreamContext } from './stream/context.ts';

/** What a mover needs of the wire: its end of one hypervisor's stream, from a unix socket to the other mover. */

/** The host's cache as a migration uses it; absent where nothing is shared. */
export interface WireCache {
  readonly directory: string;
  readonly mostBytes: number;
  /** The site's secret, alike on all its hosts. */
  readonly secret: Uint8Array;
  readonly sharing: Exclude<Sharing, { with: 'none' }>;
  /** Where this guest's places are kept between its migrations. */
  readonly placesFile: string;
}

export interface WireOptions {
  readonly migration: string;
  readonly epoch: number;
  /** 128 random bits in hex, made by the destination for this session alone. */
  readonly session: string;
  /** The other host, as its certificate names it. */
  readonly peer: string;
  readonly credentials: Credentials;
  /** Bytes of guest memory: what is kept for each page is sized by it. */
  readonly memoryBytes: number;
  /** For how long no connection may stand before the session is over, ms. */
  readonly graceMs: number;
  /** Processors that the codec may take. */
  readonly cores: number;
  readonly cache?: WireCache;
  readonly log?: Log;
}

export interface SourceWireOptions extends WireOptions {
  /** Path of the unix socket to make: the hypervisor sends its stream there. Its directory is there, and private. */
  readonly socket: string;
  /** Of the other mover's wire; connections are spread over them. */
  readonly addresses: readonly string[];
  /** Other ways to the same, for a connection whose own does not answer. */
  readonly spare?: readonly string[];
  readonly connections: number;
  /** Cap for what goes over the links, bytes/s. */
  readonly maxBytesPerS?: number;
  /** What all migrations of this host may send together. */
  readonly budget?: Budget;
}

export interface TargetWireOptions extends WireOptions {
  /** The unix socket on which the hypervisor listens, or will by the time that the first byte comes. */
  readonly socket: string;
  /** Addresses of this host, the main one first: the same port on each. */
  readonly hosts: readonly string[];
  readonly ports: { readonly from: number; readonly to: number };
}

/** One end of the wire, from its opening until it is over. */
export interface Wire {
  /** Resolves when it was closed; rejects with why it is over otherwise: then the hypervisor's sockets are broken. */
  readonly ended: Promise<void>;
  readonly measure: LinkMeasure;
  /** As they are now. */
  figures(): WireFigures;
  /** What was taken is delivered, then everything is let go; what is not done in time is broken off. Never rejects. */
  close(deadlineMs: number): Promise<void>;
  /** Lets go at once of everything, here and, if it can be reached, there. */
  abort(error: Error): void;
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
  /** Pages and pieces of other bytes by how they were told. */
  readonly told: Readonly<Record<Kind, number>>;
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
/** For how long the destination waits for the source's first connection; the movers end it sooner. */
const ACCEPT_MS = 600_000;

/** What is known of the migration's blocks, for the sessions that follow its first; a mover has one migration. */
let known: { readonly migration: string; readonly context: StreamContext } | undefined;

function contextOf(migration: string): StreamContext {
  if (known?.migration !== migration) known = { migration, context: new StreamContext() };
  return known.context;
}

/** Reaches the other mover, agrees with it, and makes the socket for the hypervisor. */
export async function openSourceWire(options: SourceWireOptions): Promise<Wire> {
  const session = await openSession({ ...sessionOptions(options), ...options });
  const context = contextOf(options.migration);
  const relay = await SourceRelay.open(session, { ...options, context, helloMs: HELLO_MS });
  return new End(session, relay);
}

/** Listens for the other mover; what the hypervisor is to get comes once that has connected. */
export async function openTargetWire(options: TargetWireOptions): Promise<TargetWire> {
  const { hosts, ports, credentials, log = silentLog } = options;
  const server = await SessionServer.listen({ hosts, ports, credentials, log });
  const stop = new AbortController();
  const accepting = server.accept(sessionOptions(options), ACCEPT_MS, stop.signal);
  const opened = accepting.then((session) => new End(session, new TargetRelay(session, options)));
  return new Listening(server, opened, stop);
}

function sessionOptions(options: WireOptions & { maxBytesPerS?: number }): SessionOptions {
  const { session, migration, epoch, peer, graceMs, maxBytesPerS } = options;
  return { name: { session, migration, epoch }, peer, graceMs, maxBytesPerS };
}
