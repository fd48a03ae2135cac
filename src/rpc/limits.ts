/** What a peer may make this process hold, and for how long. docs/protocol.md lists them. */
export interface RpcLimits {
  readonly bodyBytes: number;
  readonly headerBytes: number;
  readonly connections: number;
  /** Requests under way at once, over all connections. */
  readonly requests: number;
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

export const DEFAULT_LIMITS: RpcLimits = {
  bodyBytes: 1024 * 1024,
  headerBytes: 16 * 1024,
  connections: 1024,
  requests: 512,
  requestsPerConnection: 8,
  handshakeMs: 10_000,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 300_000,
  stallMs: 30_000,
  heartbeatMs: 5_000,
};
