/**
 * Whose share of a server something is counted on. A stranger has shown no certificate that we trust; `local` came over
 * a unix socket. A route that stands apart (`Route.apart`) has a share of its own, whoever calls it.
 */
export type Circle =
  | 'stranger'
  | 'viewer'
  | 'operator'
  | 'controller'
  | 'agent'
  | 'relay'
  | 'local'
  | 'join';

/** `each`: of one identity. `all`: of all identities of a circle together; more than `each`, so that one cannot fill it. */
export interface ShareLimit {
  readonly each: number;
  readonly all: number;
}

export interface Share {
  /** Over TLS. A caller that has not shown a certificate yet is a stranger at its address. */
  readonly connections: ShareLimit;
  /** Requests that are being answered, streams left out. */
  readonly requests: ShareLimit;
  /** Requests that wait for one of those to end. */
  readonly waiting: ShareLimit;
  /** Answers without an end: events that somebody follows. */
  readonly streams: ShareLimit;
  /** Of request bodies, from their first byte until the answer is sent. */
  readonly bodyBytes: ShareLimit;
  /** To the end of the body, from when it is read; ms. */
  readonly bodyMs: number;
}

/** What a peer may make this process hold, and for how long. docs/limits.md lists them. */
export interface RpcLimits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  /** To one socket on which a server listens. Over TLS the shares allow fewer together. */
  readonly connections: number;
  /** TLS handshakes that strangers of one address may begin: at once, and per second from then on. */
  readonly handshakes: { readonly burst: number; readonly perS: number };
  /** What one identity, and all of a circle, may have at once. */
  readonly shares: Readonly<Record<Circle, Share>>;
  /** How long a request waits for its turn. */
  readonly waitMs: number;
  /** Requests under way at once on one connection (pipelining). */
  readonly requestsPerConnection: number;
  readonly handshakeMs: number;
  /** From the connection, or the end of the request before, to the end of the headers. */
  readonly headersMs: number;
  /** To the end of the body. */
  readonly requestMs: number;
  readonly keepAliveMs: number;
  /** How long a reader may take nothing of an answer. */
  readonly stallMs: number;
  /** An empty line goes into a stream that was silent for so long. */
  readonly heartbeatMs: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;

const bound = (each: number, all: number): ShareLimit => ({ each, all });

/** A client keeps at most 16 connections to a server, so that 16 requests of one process find a place at once. */
const SHARES: RpcLimits['shares'] = {
  stranger: {
    connections: bound(64, 256),
    requests: bound(4, 32),
    waiting: bound(4, 32),
    streams: bound(0, 0),
    bodyBytes: bound(32 * KIB, MIB),
    bodyMs: 5000,
  },
  viewer: {
    connections: bound(64, 128),
    requests: bound(16, 64),
    waiting: bound(32, 128),
    streams: bound(32, 128),
    bodyBytes: bound(MIB, 4 * MIB),
    bodyMs: 15_000,
  },
  operator: {
    connections: bound(64, 192),
    requests: bound(32, 128),
    waiting: bound(64, 256),
    streams: bound(64, 256),
    bodyBytes: bound(8 * MIB, 32 * MIB),
    bodyMs: 30_000,
  },
  // Each follows the events of a host, and asks for its lists when it begins to.
  controller: {
    connections: bound(32, 96),
    requests: bound(32, 64),
    waiting: bound(64, 128),
    streams: bound(8, 24),
    bodyBytes: bound(8 * MIB, 16 * MIB),
    bodyMs: 30_000,
  },
  // All movers of a host show its certificate: each of its migrations asks from a process of its own.
  agent: {
    connections: bound(128, 384),
    requests: bound(32, 256),
    waiting: bound(128, 512),
    streams: bound(32, 128),
    bodyBytes: bound(8 * MIB, 64 * MIB),
    bodyMs: 30_000,
  },
  // It never calls.
  relay: {
    connections: bound(4, 16),
    requests: bound(4, 32),
    waiting: bound(4, 32),
    streams: bound(0, 0),
    bodyBytes: bound(32 * KIB, MIB),
    bodyMs: 5000,
  },
  // Root, or whoever runs the agent. A mover's streams to its agent are here too: one for each that follows it.
  local: {
    connections: bound(256, 256),
    requests: bound(128, 128),
    waiting: bound(256, 256),
    streams: bound(512, 512),
    bodyBytes: bound(32 * MIB, 32 * MIB),
    bodyMs: 30_000,
  },
  // A host joins once. What it sends is a token and a key: 9 KiB at most.
  join: {
    // Those of strangers.
    connections: bound(0, 0),
    requests: bound(2, 8),
    waiting: bound(2, 16),
    streams: bound(0, 0),
    bodyBytes: bound(32 * KIB, 256 * KIB),
    bodyMs: 5000,
  },
};

export const DEFAULT_LIMITS: RpcLimits = {
  bodyBytes: MIB,
  headerBytes: 16 * KIB,
  connections: 1024,
  handshakes: { burst: 256, perS: 32 },
  shares: SHARES,
  waitMs: 20_000,
  requestsPerConnection: 8,
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 300_000,
  stallMs: 30_000,
  heartbeatMs: 5_000,
};
