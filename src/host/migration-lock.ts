import net from 'node:net';
import { godwitError } from '../errors.ts';

/**
 * Holds one side of a migration for this process alone: an abstract socket's name can be bound once in a network
 * namespace, and the kernel frees it when the process ends, however it ends. Closing the server frees it as well.
 */
export async function holdMigration(id: string, side: string): Promise<net.Server> {
  const server = net.createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const what = `another mover already works on the ${side} side of ${id}`;
      reject(godwitError('GODWIT_INTERNAL', { what }, { cause }));
    });
    server.listen(`\0godwit-mover-${id}-${side}`, resolve);
  });
  server.unref();
  return server;
}
