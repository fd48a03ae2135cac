import { silentLog, type Log } from '../log.ts';
import type { Credentials } from '../rpc/tls.ts';
import type { Budget } from './budget.ts';
import type { LinkSession, SessionOptions } from './link-session.ts';
import { SessionServer } from './server.ts';
import type { LinkMeasure } from './session.ts';

/** What two movers open a session between them for, and by what; alike for a hypervisor's stream and for its disks. */

/** Who opens it with whom. */
export interface SessionTerms {
  readonly migration: string;
  readonly epoch: number;
  /** 128 random bits in hex, made by the destination for this session alone. */
  readonly session: string;
  /** The other host, as its certificate names it. */
  readonly peer: string;
  readonly credentials: Credentials;
  /** For how long no connection may stand before the session is over, ms. */
  readonly graceMs: number;
  readonly log?: Log;
}

/** The source's path to the destination. */
export interface SourceEndpoint {
  /** Path of the unix socket to make: the hypervisor connects to it. Its directory is there, and private. */
  readonly socket: string;
  /** Of the other mover's listener; connections are spread over them. */
  readonly addresses: readonly string[];
  /** Other paths to the same, for a connection whose own does not answer. */
  readonly spare?: readonly string[];
  readonly connections: number;
  /** Cap for what goes over the links, bytes/s. */
  readonly maxBytesPerS?: number;
  /** What they are said to carry, bytes/s; counts until it is measured. */
  readonly saidBytesPerS?: number;
  /** What all migrations of this host may send together. */
  readonly budget?: Budget;
}

/** Where the destination waits. */
export interface TargetEndpoint {
  /** The unix socket on which the hypervisor listens, or will by the time that the first byte comes. */
  readonly socket: string;
  /** Addresses of this host, the main one first: the same port on each. */
  readonly hosts: readonly string[];
  readonly ports: { readonly from: number; readonly to: number };
}

/** One end, from its opening until it is over. */
export interface SessionEnd<Figures> {
  /** Resolves when it was closed; rejects with why it is over otherwise: then the hypervisor's sockets are broken. */
  readonly ended: Promise<void>;
  readonly measure: LinkMeasure;
  /** As they are now. */
  figures(): Figures;
  /** Delivers what was accepted, then closes everything. Breaks off what is not done in time. Never rejects. */
  close(deadlineMs: number): Promise<void>;
  /** Closes everything at once, here and, if it can be reached, there. */
  abort(error: Error): void;
}

/** For how long the destination waits for the source's first connection; the movers end it sooner. */
const ACCEPT_MS = 600_000;
const NO_LINK: LinkMeasure = {
  bytesPerS: 0,
  roundTripMs: 0,
  connections: 0,
  cutForMs: undefined,
};

export function sessionOptions(options: SessionTerms & { maxBytesPerS?: number }): SessionOptions {
  const { session, migration, epoch, peer, graceMs, maxBytesPerS } = options;
  return { name: { session, migration, epoch }, peer, graceMs, maxBytesPerS };
}

/** The destination's end, before and after the source has connected. */
export class ListeningEnd<Figures, End extends SessionEnd<Figures>> implements SessionEnd<Figures> {
  /** host:port on which it waits for the source's mover. */
  readonly address: string;
  readonly ended: Promise<void>;
  readonly #server: SessionServer;
  readonly #opened: Promise<End>;
  readonly #stop: AbortController;
  readonly #none: Figures;
  #end: End | undefined;

  constructor(server: SessionServer, opened: Promise<End>, stop: AbortController, none: Figures) {
    this.address = server.address;
    this.#server = server;
    this.#opened = opened;
    this.#stop = stop;
    this.#none = none;
    this.ended = this.#run().finally(() => server.close());
    this.ended.catch(() => undefined);
  }

  /** Once the source has connected. */
  get end(): End | undefined {
    return this.#end;
  }

  get measure(): LinkMeasure {
    return this.#end?.measure ?? NO_LINK;
  }

  figures(): Figures {
    return this.#end?.figures() ?? this.#none;
  }

  async close(deadlineMs: number): Promise<void> {
    if (this.#end === undefined) this.#stop.abort(new Error('the wire was closed'));
    else await this.#end.close(deadlineMs);
    await this.#server.close();
  }

  abort(error: Error): void {
    this.#stop.abort(error);
    this.#end?.abort(error);
  }

  async #run(): Promise<void> {
    this.#end = await this.#opened;
    await this.#end.ended;
  }
}

/** Listens for one session of the other mover; `make` puts on it what it is for. */
export async function listenFor<End>(
  options: SessionTerms & TargetEndpoint,
  make: (session: LinkSession) => End,
): Promise<{ server: SessionServer; opened: Promise<End>; stop: AbortController }> {
  const { hosts, ports, credentials, log = silentLog } = options;
  const server = await SessionServer.listen({ hosts, ports, credentials, log });
  const stop = new AbortController();
  const accepting = server.accept(sessionOptions(options), ACCEPT_MS, stop.signal);
  return { server, opened: accepting.then(make), stop };
}
