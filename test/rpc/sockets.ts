/** Raw connections to a server, for those who do not keep to its protocol, and a count of all that are open. */
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import { connect, type TLSSocket } from 'node:tls';
import type { TestContext } from 'node:test';
import type { Credentials } from '../../src/rpc/tls.ts';

/** Sockets of this process, as the kernel lists them: both ends of each connection are here. */
export function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

/** A connection after its handshake, which ends with the test. */
export async function dialTls(
  t: TestContext,
  address: string,
  credentials: Credentials,
): Promise<TLSSocket> {
  const [host = '', port] = address.split(':');
  const socket = connect({ ...credentials, host, port: Number(port), rejectUnauthorized: false });
  socket.on('error', () => {});
  t.after(() => socket.destroy());
  await once(socket, 'secureConnect');
  return socket;
}
