import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { CriuDestination, type Arrivals } from '../../../src/drivers/criu/destination.ts';
import { encodeFrame, FrameReader, KINDS } from '../../../src/drivers/criu/link/frames.ts';
import type { HostContext } from '../../../src/drivers/criu/host/host-context.ts';
import { keepSetup } from '../../../src/drivers/criu/pages/kept-setup.ts';
import { LateFiles } from '../../../src/drivers/criu/files/late-files.ts';
import { cameFile } from '../../../src/drivers/criu/pager/pages.ts';
import { Records } from '../../../src/drivers/criu/link/records.ts';
import { takeUpLate } from '../../../src/drivers/criu/take-up.ts';
import { ownIdentity } from '../../../src/system/processes/process.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { splitAddress } from '../../../src/protocol/names.ts';
import { PAGE, SETUP, writeImages } from './pager/images.ts';

const PAGES = 40;
const signal = AbortSignal.timeout(60_000);

test('the next mover reports to the source again that all memory has come', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-take-up-'));
  t.after(() => removeTree(directory));
  const records = new Records(directory);
  const made = { netns: 'none', nics: [], overlay: false };
  const known = { token: 't', mover: ownIdentity(), memoryBytes: PAGES * PAGE, made };
  await records.write('box', { ...known, init: ownIdentity(), migration: 'm-00000001' });
  const images = path.join(records.dirOf('box'), 'in', 'images');
  await mkdir(images, { recursive: true });
  await writeImages(images, PAGES);
  await keepSetup(path.dirname(images), SETUP);
  await writeFile(cameFile(images, 1), Buffer.alloc(PAGES, 1));
  await writeFile(path.join(images, 'pager.journal'), '{"restored":true}\n{"all":true}\n');

  const handle = { driver: 'criu', name: 'box', token: 't', memoryBytes: PAGES * PAGE };
  const options = {
    host: 'b',
    guest: 'box',
    migration: 'm-00000001',
    handle,
    guestDir: path.join(directory, 'guest'),
    networks: {},
    listenHost: '127.0.0.1',
    ports: { from: 49_500, to: 49_520 },
  };
  const context = { records, host: 'b', prefix: '' } as unknown as HostContext;
  const arrivals: Arrivals = new Map();
  await takeUpLate(context, options, arrivals);
  const session = new CriuDestination(context, options, arrivals);
  t.after(() => arrivals.get('box')?.close(false));
  const events: string[] = [];
  session.onEvent(({ type }) => events.push(type));

  const { memoryAddress } = await session.listenAgain(signal);
  const { host, port } = splitAddress(memoryAddress);
  const socket = net.connect({ host, port });
  t.after(() => socket.destroy());
  const hello = { version: 1, guest: 'box', rest: true };
  socket.write(encodeFrame(KINDS.hello, Buffer.from(JSON.stringify(hello))));
  const reader = new FrameReader();
  const kinds: number[] = [];
  for await (const bytes of socket as AsyncIterable<Buffer>) {
    for (const { kind, body } of reader.push(bytes)) {
      kinds.push(kind);
      if (kind === KINDS.missing) assert.ok(body.subarray(8).every((byte) => byte === 0));
    }
    if (kinds.includes(KINDS.whole)) break;
  }
  assert.deepEqual(kinds, [KINDS.missing, KINDS.ready, KINDS.whole]);
  assert.deepEqual(events, ['completed']);
});

test('pages yet to come have their room on the disk before the container runs', async (t) => {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-take-up-'));
  t.after(() => removeTree(directory));
  await writeImages(directory, PAGES);
  const file = path.join(directory, 'pages-1.img');
  await truncate(file, 0);
  await truncate(file, PAGES * PAGE);
  const files = new LateFiles();
  await files.open(directory);
  t.after(() => files.close());
  await files.reserve();
  const { blocks, size } = await stat(file);
  assert.ok(blocks * 512 >= size && size === PAGES * PAGE, `${blocks} blocks of ${size} bytes`);
  assert.ok((await readFile(file)).every((byte) => byte === 0));
});
