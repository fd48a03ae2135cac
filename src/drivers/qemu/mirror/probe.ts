import net from 'node:net';
import { withDeadline } from '../../../deadline.ts';

const GREETING = Buffer.from('NBDMAGIC');
const ANSWER_MS = 5000;

/**
 * Resolves once an NBD server greets on the unix socket. QEMU connects in its main loop, so without an answer
 * the guest would be paused.
 */
export async function probeServer(socket: string, signal: AbortSignal): Promise<void> {
  const client = net.connect({ path: socket });
  try {
    await withDeadline('the greeting of the other host’s disks', ANSWER_MS, signal, () => {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      let heard = Buffer.alloc(0);
      client.on('error', reject);
      client.on('close', () => reject(new Error('it was closed before it greeted')));
      client.on('data', (chunk: Buffer) => {
        heard = Buffer.concat([heard, chunk]);
        if (heard.length < GREETING.length) return;
        if (heard.subarray(0, GREETING.length).equals(GREETING)) resolve();
        else reject(new Error('what answers is no NBD server'));
      });
      return promise;
    });
  } finally {
    client.on('error', () => undefined);
    client.destroy();
  }
}
