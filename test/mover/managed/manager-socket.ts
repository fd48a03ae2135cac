/** A pretended manager at a unix socket, for agents and movers that are processes of their own. */
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { managedHandle } from '../../../sim/fake/managed-handle.ts';
import type { FakeManager } from '../../../sim/fake/managed.ts';
import { firstLine, remoteCall } from '../../../sim/fake/remote.ts';
import { toGodwitError } from '../../../src/errors.ts';
import { managedOrder, type TaskChange } from '../../../src/migration/managed/task-sight.ts';

export interface ManagerServer {
  /** Nobody answers any more, until it is served again. */
  close(): Promise<void>;
}

export async function serveManager(manager: FakeManager, path: string): Promise<ManagerServer> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
    respond(manager, socket).catch(() => socket.destroy());
  });
  server.listen(path);
  await once(server, 'listening');
  return {
    close: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

async function respond(manager: FakeManager, socket: Socket): Promise<void> {
  const gone = new AbortController();
  socket.once('close', () => gone.abort(new Error('the caller is gone')));
  const asked = remoteCall.parse(JSON.parse(await firstLine(socket)));
  const said = await carryOut(manager, asked, gone.signal).then(
    (value) => ({ value }),
    (thrown: unknown) => ({ error: toGodwitError(thrown).toJSON() }),
  );
  if (!socket.destroyed) socket.end(`${JSON.stringify(said)}\n`);
}

async function carryOut(
  manager: FakeManager,
  { host, guest, method, args }: ReturnType<typeof remoteCall.parse>,
  signal: AbortSignal,
): Promise<unknown> {
  const driver = manager.driver(host);
  if (method === 'knows') return manager.guests.has(guest);
  if (method === 'discover') {
    const options = { host, busy: new Set<string>(), configured: [] };
    return (await driver.discover(options, signal)).map(({ info }) => info);
  }
  const session = await driver.openManaged(managedHandle(guest), signal);
  const [first] = args;
  switch (method) {
    case 'settlesMs':
      return session.settlesMs;
    case 'steer':
      return session.steer?.(managedOrder.parse(first), args[1] as TaskChange, signal);
    case 'inspect':
      return session.inspect(signal);
    case 'measure':
      return session.measure?.(signal);
    case 'check':
      return session.check(managedOrder.parse(first), signal);
    case 'copies':
      return session.copies?.(managedOrder.parse(first), signal);
    case 'prepare':
      return session.prepare?.(managedOrder.parse(first), signal);
    case 'unprepare':
      return session.unprepare?.(managedOrder.parse(first), args[1] === true, signal);
    case 'start':
      return session.start(managedOrder.parse(first), signal);
    case 'where':
      return session.where(managedOrder.parse(first), signal);
    case 'look':
      return session.look(managedOrder.parse(first), signal);
    case 'cancel':
      return session.cancel(managedOrder.parse(first), signal);
    case 'finish':
      return session.finish(managedOrder.parse(first), signal);
    default:
      throw new Error(`no such call: ${method}`);
  }
}
