import { openSession } from '../../../links/open.ts';
import { LocalSocket } from '../../../links/local-socket.ts';
import {
  listenFor,
  sessionOptions,
  type SessionTerms,
  type SourceEndpoint,
  type TargetEndpoint,
  type SessionEnd,
} from '../../../links/endpoint.ts';
import { ListeningTunnel, TunnelEnd } from './tunnel-end.ts';
import { Mux, type Beside } from './mux.ts';

/**
 * What a mover needs to have disks copied: a unix socket at the source, to which its hypervisor connects, joined with one
 * at the destination, on which the other listens. The bytes go as they are, over one session that outlives its links.
 */

export interface SourceTunnelOptions extends SessionTerms, SourceEndpoint {}
export interface TargetTunnelOptions extends SessionTerms, TargetEndpoint {}

export interface TunnelFigures {
  /** Bytes of this side's hypervisor for the other one's, and of that one's for this. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Bytes of frames that went over the links, both ways, what was sent twice included. */
  readonly linkBytes: number;
  /** Times without any connection, and the longest, ms. */
  readonly cuts: number;
  readonly longestCutMs: number;
}

/** One end of the tunnel, from its opening until it is over. */
export interface Tunnel extends SessionEnd<TunnelFigures> {
  /** Caps what this end sends, bytes/s; undefined: as much as the links and the host's budget let it. */
  limit(bytesPerS: number | undefined): void;
  /**
   * From now on a connection is broken, as if the hypervisor at the other end had gone, when nothing answers what was
   * sent on it for longer than this; the session stays. undefined: never, as at first.
   */
  mustAnswerWithin(ms: number | undefined): void;
  readonly beside: Beside;
}

export interface TargetTunnel extends Tunnel {
  /** host:port on which it waits for the source's mover. */
  readonly address: string;
}

/** Reaches the other mover and makes the socket. Rejects soon after the signal aborts; once open, it means nothing more. */
export async function openSourceTunnel(
  options: SourceTunnelOptions,
  signal: AbortSignal,
): Promise<Tunnel> {
  signal.throwIfAborted();
  // A session keeps its signal for good, and this one is often of a step that ends before the tunnel does.
  const opening = new AbortController();
  const stop = (): void => opening.abort(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const terms = { ...sessionOptions(options), ...options, signal: opening.signal };
    const session = await openSession(terms);
    const mux = new Mux({ session, peer: options.peer });
    const end = new TunnelEnd(session, mux);
    await end.listen(options.socket);
    return end;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Listens for the other mover; what it opens goes to the hypervisor that listens on the socket. */
export async function openTargetTunnel(options: TargetTunnelOptions): Promise<TargetTunnel> {
  const { peer, socket } = options;
  const { server, opened, stop } = await listenFor(options, (session) => {
    const connect = (): Promise<LocalSocket> => LocalSocket.connect(socket);
    return new TunnelEnd(session, new Mux({ session, peer, connect }));
  });
  return new ListeningTunnel(server, opened, stop);
}
