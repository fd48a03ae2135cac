import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import { SourceRelay } from '../../../src/wire/relay/source.ts';
import { TargetRelay } from '../../../src/wire/relay/target.ts';
import type { StreamContext } from '../../../src/wire/stream/context.ts';
import type { WireCache } from '../../../src/wire/cache/circles.ts';
import { sessionPair, type MemorySession, type Way } from './memory-session.ts';

export interface Pair {
  readonly source: SourceRelay;
  readonly target: TargetRelay;
  readonly near: MemorySession;
  readonly far: MemorySession;
  readonly directory: string;
  /** Connects as the source's hypervisor. */
  connect(): Promise<net.Socket>;
  /** The next connection that the destination's hypervisor gets. */
  accept(): Promise<net.Socket>;
}

export interface PairPlan {
  readonly way?: Way;
  readonly nearCache?: WireCache;
  readonly farCache?: WireCache;
  readonly memoryBytes?: number;
  readonly context?: StreamContext;
}

/** Both relays in this process, and sockets in the hypervisors' place. All of it goes when the test ends. */
export async function relayPair(context: TestContext, plan: PairPlan = {}): Promise<Pair> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-relay-'));
  const [near, far] = sessionPair(plan.way);
  const listening = path.join(directory, 'destination.sock');
  const sockets: net.Socket[] = [];
  const accepted: net.Socket[] = [];
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    accepted.push(socket);
    sockets.push(socket);
    server.emit('taken');
  });
  await new Promise<void>((resolve) => server.listen(listening, resolve));
  const { memoryBytes = 8 * 2 ** 20, farCache: cache } = plan;
  const target = new TargetRelay(far, { socket: listening, peer: 'a', memoryBytes, cache });
  const source = await SourceRelay.open(near, {
    socket: path.join(directory, 'source.sock'),
    peer: 'b',
    memoryBytes,
    cores: 1,
    cache: plan.nearCache,
    helloMs: 60_000,
    context: plan.context,
  });
  context.after(() => {
    source.fail(new Error('the test is over'));
    target.fail(new Error('the test is over'));
    for (const socket of sockets) socket.destroy();
    server.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    source,
    target,
    near,
    far,
    directory,
    connect: async () => {
      const socket = net.connect({
        path: path.join(directory, 'source.sock'),
        allowHalfOpen: true,
      });
      socket.on('error', () => undefined);
      sockets.push(socket);
      await once(socket, 'connect');
      return socket;
    },
    accept: async () => {
      while (accepted.length === 0) await once(server, 'taken');
      return accepted.shift()!;
    },
  };
}

/** All that comes until the other side ends. */
export async function readAll(socket: net.Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false }))
    chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
