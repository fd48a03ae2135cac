import type { X509Certificate } from 'node:crypto';
import { withDeadline } from '../deadline.ts';
import { godwitError } from '../errors.ts';
import { connectTls } from './relayed/call.ts';
import { wrongServer, type Credentials } from './tls.ts';

/** A handshake, ms. */
const LOOK_MS = 3000;

/**
 * The certificate that the agent of `name` shows at `address` to whoever connects now. GODWIT_PEER_UNTRUSTED where another
 * one answers there, GODWIT_UNREACHABLE where none does. A certificate that was revoked is reported like any other.
 */
export function serverCertificate(
  name: string,
  address: string,
  credentials: Credentials,
): Promise<X509Certificate> {
  const what = `to see the certificate of ${name}`;
  return withDeadline(what, LOOK_MS, undefined, async (signal) => {
    const socket = await connectTls(address, credentials, {}, signal);
    const give = (): void => void socket.destroy();
    signal.addEventListener('abort', give, { once: true });
    try {
      return await new Promise<X509Certificate>((resolve, reject) => {
        const away = (reason: string): void =>
          reject(godwitError('GODWIT_UNREACHABLE', { peer: name, address, reason }));
        socket.on('error', ({ message }) => away(message));
        socket.once('close', () => away('it closed the connection'));
        socket.once('secureConnect', () => {
          const wrong = wrongServer(socket, { name, role: 'agent' });
          const shown = socket.getPeerX509Certificate();
          if (wrong !== undefined) reject(wrong);
          else if (shown === undefined) away('it shows no certificate');
          else resolve(shown);
        });
      });
    } finally {
      socket.destroy();
    }
  });
}
