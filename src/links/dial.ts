import type { TLSSocket } from 'node:tls';
import { withDeadline } from '../deadline.ts';
import { godwitError } from '../errors.ts';
import { rendezvousOf } from '../protocol/relay.ts';
import { connectTls, ledElsewhere } from '../rpc/relayed/call.ts';
import { wrongServer, type Credentials } from '../rpc/tls.ts';
import { Connection } from './connection.ts';
import { BadLinkFrame, controlFrame, type Frame } from './format.ts';
import { readJson, refusalSchema, welcomeSchema, writeJson, type LinkRefusal } from './greeting.ts';
import type { LinkSession } from './link-session.ts';

/** Named by both ends, so that another listener with these certificates is not mistaken for it. */
export const LINK_ALPN = 'godwit-link';
/** Time from the first packet to the welcome; longer through a relay, which may wait for the other host's stream. */
const DIAL_MS = 4000;
const RELAYED_DIAL_MS = 8000;
/**
 * Part of that time for the other host's first answer: after its second attempt, TCP waits too long for a
 * restored link.
 */
const ANSWER_MS = 1500;

export class LinkRefusedError extends Error {
  override readonly name = 'LinkRefusedError';
  readonly refusal: LinkRefusal;

  constructor(refusal: LinkRefusal) {
    super(`refused: ${refusal.why}`);
    this.refusal = refusal;
  }
}

/**
 * Makes one connection for the session. Resolves once it is accepted, to a promise of its end. Rejects with
 * LinkRefusedError, with the server's fault, or with the network's error.
 */
export async function dial(
  session: LinkSession,
  address: string,
  credentials: Credentials,
): Promise<{ readonly gone: Promise<void> }> {
  const dialMs = rendezvousOf(address) === undefined ? DIAL_MS : RELAYED_DIAL_MS;
  return withDeadline(`connecting to ${address}`, dialMs, session.over, async (signal) => {
    const options = { ALPNProtocols: [LINK_ALPN] };
    const socket = await connectTls(address, credentials, options, signal);
    const stop = (): void => void socket.destroy();
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await greet(session, address, socket, credentials);
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', stop);
    }
  });
}

function greet(
  session: LinkSession,
  address: string,
  socket: TLSSocket,
  { refuses }: Credentials,
): Promise<{ readonly gone: Promise<void> }> {
  return new Promise((resolve, reject) => {
    const connection = new Connection(socket, {
      frame: (frame) => {
        const far = welcomed(frame);
        if (!session.knows(far.incarnation)) {
          const reason = 'its end of the session is another one than before';
          throw godwitError('GODWIT_SESSION_ENDED', { peer: session.peer, reason });
        }
        resolve({ gone: session.join(connection, far) });
      },
      paused: () => undefined,
      closed: (error) => reject(error ?? new Error('the other side closed the connection')),
    });
    // A relay's connection is already established.
    if (rendezvousOf(address) === undefined) {
      socket.setTimeout(ANSWER_MS, () =>
        connection.destroy(new Error('no answer to the connection')),
      );
      socket.once('connect', () => socket.setTimeout(0));
    }
    socket.once('secureConnect', () => {
      const wrong = wrongServer(socket, { name: session.peer, role: 'agent' }, refuses);
      if (wrong !== undefined) return connection.destroy(ledElsewhere(address, wrong));
      const hello = { ...session.name, ...session.greeting() };
      return connection.write(controlFrame('hello', 0, writeJson(hello)));
    });
  });
}

function welcomed(frame: Frame) {
  switch (frame.type) {
    case 'welcome':
      return readJson(welcomeSchema, frame.payload, 'welcome');
    case 'refuse':
      throw new LinkRefusedError(readJson(refusalSchema, frame.payload, 'refuse'));
    default:
      throw new BadLinkFrame(`a ${frame.type} frame instead of a welcome`);
  }
}
