import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { Mux } from '../../../../src/disks/copy/tunnel/mux.ts';
import { LocalSocket } from '../../../../src/links/local-socket.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { sessionPair, type MemorySession, type Way } from '../../../wire/relay/memory-session.ts';

/** A server on a unix socket whose connections are asked for one by one. */
export class Listener {
  readonly file: string;
  readonly #server: net.Server;
  readonly #come: net.Socket[] = [];
  readonly #all: net.Socket[] = [];

  private constructor(file: string) {
    this.file = file;
    this.#server = net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => undefined);
      this.#come.push(socket);
      this.#all.push(socket);
      this.#server.emit('come');
    });
  }

  static async at(t: TestContext, file: string): Promise<Listener> {
    const made = new Listener(file);
    await new Promise<void>((resolve) => made.#server.listen(file, resolve));
    t.after(() => made.close());
    return made;
  }

  async next(): Promise<net.Socket> {
    while (this.#come.length === 0) await once(this.#server, 'come');
    return this.#come.shift()!;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#all) socket.destroy();
  }
}

export async function connect(t: TestContext, file: string): Promise<net.Socket> {
  const socket = net.connect({ path: file, allowHalfOpen: true });
  socket.on('error', () => undefined);
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

export interface Boards {
  readonly source: Mux;
  readonly target: Mux;
  readonly near: MemorySession;
  readonly far: MemorySession;
  readonly listener: Listener;
  /** A connection of the source's hypervisor; false where it was not let in. */
  readonly dial: () => Promise<{ readonly socket: net.Socket; readonly open: boolean }>;
  /** The two ends of one connection through the tunnel. */
  readonly pair: () => Promise<readonly [net.Socket, net.Socket]>;
}

/** Both muxes in this process, over a session without a network, and sockets in the hypervisors' place. */
export async function muxes(t: TestContext, way?: Way): Promise<Boards> {
  const directory = tempDir(t);
  const [near, far] = sessionPair(way);
  const listener = await Listener.at(t, path.join(directory, 'target.sock'));
  const entry = await Listener.at(t, path.join(directory, 'source.sock'));
  const source = new Mux({ session: near, peer: 'b' });
  const target = new Mux({
    session: far,
    peer: 'a',
    connect: () => LocalSocket.connect(listener.file),
  });
  t.after(() => near.abort(new Error('the test is over')));
  const dial = async () => {
    const socket = await connect(t, entry.file);
    const local = new LocalSocket(await entry.next());
    const open = source.open(local);
    if (!open) local.break();
    return { socket, open };
  };
  const pair = async () => {
    const { socket } = await dial();
    return [socket, await listener.next()] as const;
  };
  return { source, target, near, far, listener, dial, pair };
}

/** All that comes until the other side ends or breaks it. */
export async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  socket.resume();
  await new Promise<void>((resolve) => {
    socket.once('end', resolve);
    socket.once('close', () => resolve());
  });
  return Buffer.concat(chunks);
}
