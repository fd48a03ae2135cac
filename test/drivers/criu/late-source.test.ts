import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { encodeFrame, FrameReader, KINDS } from '../../../src/drivers/criu/link/frames.ts';
import type { HostContext } from '../../../src/drivers/criu/host/host-context.ts';
import { LateSource } from '../../../src/drivers/criu/late-source.ts';
import { Records } from '../../../src/drivers/criu/link/records.ts';
import { EventReplay } from '../../../src/drivers/criu/watch.ts';
import { ownIdentity } from '../../../src/system/processes/process.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { until } from '../../until.ts';
import { BASE, PAGE, SETUP, pagemapImage } from './pager/images.ts';

const PAGES = 2000;

function numbers(...all: readonly number[]): Buffer {
  const body = Buffer.alloc(4 * all.length);
  for (const [index, each] of all.entries()) body.writeUInt32LE(each, 4 * index);
  return body;
}

test('each page is sent once, however often some are requested', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-late-'));
  t.after(() => removeTree(directory));
  const records = new Records(directory);
  await records.write('box', { token: 't', mover: ownIdentity(), memoryBytes: PAGES * PAGE });
  const images = path.join(records.dirOf('box'), 'out', 'images');
  await mkdir(images, { recursive: true });
  const entry = { from: BASE, pages: PAGES, flags: 6 };
  await writeFile(path.join(images, 'pagemap-1.img'), pagemapImage(1, [entry]));
  await writeFile(path.join(images, 'pages-1.img'), Buffer.alloc(PAGES * PAGE, 1));

  const server = net.createServer();
  t.after(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const context = { records, keptBytes: 0 } as unknown as HostContext;
  const reported = new EventReplay();
  const source = new LateSource(context, 'box', SETUP, reported);
  t.after(() => source.stop());

  const peer = once(server, 'connection') as Promise<[net.Socket]>;
  const recovered = source.recover(`127.0.0.1:${port}`, undefined, AbortSignal.timeout(20_000));
  const [socket] = await peer;
  t.after(() => socket.destroy());
  // It listens once it has said who it is.
  await once(socket, 'readable');
  socket.read();
  const missing = Buffer.concat([numbers(1, 0), Buffer.alloc(PAGES / 8, 0xff)]);
  socket.write(encodeFrame(KINDS.missing, missing));
  socket.write(encodeFrame(KINDS.ready));
  // More than any number of processes waits for: one that a signal wakes asks each time.
  const wants = [encodeFrame(KINDS.want, numbers(9, 0))];
  for (let time = 0; time < 100_000; time += 1)
    wants.push(encodeFrame(KINDS.want, numbers(1, PAGES - 1 - (time % PAGES))));
  socket.write(Buffer.concat(wants));

  // Until then it hears of none that came.
  await until('all is asked for', 20_000, async () =>
    source.sample().pageRequests >= 100_000 ? true : undefined,
  );
  const reader = new FrameReader();
  const came: number[] = [];
  const chunks = socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  for await (const bytes of chunks) {
    for (const { kind, body } of reader.push(bytes)) {
      if (kind !== KINDS.late) continue;
      const first = body.readUInt32LE(4);
      for (let at = 0; at < (body.length - 8) / PAGE; at += 1) came.push(first + at);
      socket.write(encodeFrame(KINDS.taken));
    }
    if (came.length >= PAGES) break;
  }
  await recovered;
  // In the order in which they were asked for, which is not that of the files: also what came along with the word.
  assert.deepEqual(
    came,
    Array.from({ length: PAGES }, (_, page) => PAGES - 1 - page),
  );
  assert.equal(reported.stream, 'postcopy-active');
});
