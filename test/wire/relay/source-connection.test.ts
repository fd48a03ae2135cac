import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { LocalSocket } from '../../../src/links/local-socket.ts';
import { SourceConnection } from '../../../src/wire/relay/source-connection.ts';
import { StreamContext } from '../../../src/wire/stream/context.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { longStream } from './streams.ts';

const PAGES = 24;
/** Longer than a page's first part waits for the rest. */
const STANDSTILL_MS = 30;

/** Nothing of this process goes on meanwhile, as on a host that gives its processor to others. */
function standStill(): void {
  const until = performance.now() + STANDSTILL_MS;
  while (performance.now() < until);
}

test('a page that arrives in two parts is one item, though the relay stalled between them', async (t) => {
  const socket = path.join(tempDir(t), 'source.sock');
  const server = net.createServer({ allowHalfOpen: true });
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.after(() => server.close());
  const hypervisor = net.connect({ path: socket, allowHalfOpen: true });
  const [near] = (await once(server, 'connection')) as [net.Socket];
  t.after(() => [near, hypervisor].forEach((each) => each.destroy()));

  const stream = longStream(PAGES);
  const half = stream.length >> 1;
  let pages = 0;
  let pushes = 0;
  const connection = new SourceConnection({
    socket: new LocalSocket(near),
    context: new StreamContext(),
    encoding: {
      add: async (items) => {
        for (const { kind } of items) pages += kind === 'page' ? 1 : 0;
      },
      push: async () => {
        pushes += 1;
        if (pushes > 1) return;
        hypervisor.end(stream.subarray(half));
        // When it has begun to wait for the rest, which lies there by then.
        process.nextTick(standStill);
      },
      flush: () => Promise.resolve(),
      answer: () => Promise.resolve(),
      close: () => Promise.resolve(undefined),
    },
    count: () => undefined,
    room: () => true,
    changed: () => Promise.resolve(),
    gathers: false,
  });
  const run = connection.run();
  hypervisor.write(stream.subarray(0, half));
  assert.equal(await run, true);
  assert.equal(pages, PAGES);
});
