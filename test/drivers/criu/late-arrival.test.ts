import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { CriuDestination } from '../../../src/drivers/criu/destination.ts';
import { encodeFrame, FrameReader, KINDS } from '../../../src/drivers/criu/link/frames.ts';
import type { HostContext } from '../../../src/drivers/criu/host/host-context.ts';
import { LateArrival } from '../../../src/drivers/criu/late-arrival.ts';
import { pagersIn } from '../../../src/drivers/criu/pager/one-pager.ts';
import { cameFile } from '../../../src/drivers/criu/pager/pages.ts';
import { Records, type ContainerRecord } from '../../../src/drivers/criu/link/records.ts';
import { identify } from '../../../src/drivers/criu/host/processes.ts';
import { EventReplay } from '../../../src/drivers/criu/watch.ts';
import type { DestinationOptions } from '../../../src/port/direct.ts';
import { lifeOf } from '../../../src/system/processes/life.ts';
import { ownIdentity } from '../../../src/system/processes/process.ts';
import { removeTree } from '../../../src/system/files/remove-tree.ts';
import { splitAddress } from '../../../src/protocol/names.ts';
import { until } from '../../until.ts';
import { PAGE, SETUP, writeImages } from './pager/images.ts';

const PAGES = 40;

/** On a disk that has no room for a record while it is full. */
class FullRecords extends Records {
  isFull = false;
  refused = 0;

  override async change(name: string, change: Partial<ContainerRecord>): Promise<void> {
    if (this.isFull) {
      this.refused += 1;
      throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
    }
    return super.change(name, change);
  }
}

interface Place {
  readonly records: FullRecords;
  readonly images: string;
  readonly context: HostContext;
  readonly options: DestinationOptions;
  readonly reported: EventReplay;
  /** What was reported, with its reason. */
  readonly events: string[];
  readonly late: LateArrival;
}

async function place(t: TestContext): Promise<Place> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'godwit-late-arrival-'));
  t.after(() => removeTree(directory));
  const records = new FullRecords(path.join(directory, 'records'));
  const made = { netns: 'none', nics: [], overlay: false, cgroup: 'godwit-box' };
  const known = { token: 't', mover: ownIdentity(), memoryBytes: PAGES * PAGE, made };
  await records.write('box', { ...known, init: ownIdentity(), late: true });
  const images = path.join(records.dirOf('box'), 'in', 'images');
  await mkdir(images, { recursive: true });
  const options = {
    host: 'b',
    guest: 'box',
    guestDir: path.join(directory, 'guest'),
    networks: {},
    listenHost: '127.0.0.1',
    ports: { from: 49_500, to: 49_520 },
  } as unknown as DestinationOptions;
  const runc = { run: async () => '' };
  const context = { records, host: 'b', prefix: directory, runc } as unknown as HostContext;
  const reported = new EventReplay();
  const events: string[] = [];
  reported.on((event) =>
    events.push('reason' in event ? `${event.type}: ${event.reason}` : event.type),
  );
  const late = new LateArrival(context, 'box', options, reported);
  return { records, images, context, options, reported, events, late };
}

test('the source is informed of the last page once that is written down, and of each reason once', async (t) => {
  const { records, images, events, late } = await place(t);
  await writeImages(images, PAGES);
  await writeFile(cameFile(images, 1), Buffer.alloc(PAGES, 1));
  await writeFile(path.join(images, 'pager.journal'), '{"restored":true}\n{"all":true}\n');
  records.isFull = true;
  await late.attach();
  t.after(() => late.close(false));
  await until('it is tried', 20_000, async () => (records.refused > 0 ? true : undefined));

  const { memoryAddress } = await late.listenAgain(SETUP, undefined);
  const { host, port } = splitAddress(memoryAddress);
  const socket = net.connect({ host, port });
  t.after(() => socket.destroy());
  const hello = { version: 1, guest: 'box', rest: true };
  socket.write(encodeFrame(KINDS.hello, Buffer.from(JSON.stringify(hello))));
  const kinds: number[] = [];
  const reader = new FrameReader();
  socket.on('data', (bytes: Buffer) => {
    for (const { kind } of reader.push(bytes)) {
      kinds.push(kind);
      if (kind === KINDS.whole) assert.equal(records.readSync('box')?.late, undefined);
    }
  });
  await until('it is tried again', 20_000, async () =>
    kinds.includes(KINDS.ready) && records.refused > 2 ? true : undefined,
  );
  assert.deepEqual([...kinds], [KINDS.missing, KINDS.ready]);
  records.isFull = false;
  await until('it is said', 20_000, async () => (kinds.includes(KINDS.whole) ? true : undefined));
  assert.deepEqual(events, [
    'postcopy-paused: the mover that took it in has ended',
    'postcopy-paused: its record cannot be written: no room',
    'completed',
  ]);
});

test('a container whose migration is settled may move on, even if that could not be written down', async (t) => {
  const { records, images, context, options } = await place(t);
  await writeImages(images, PAGES);
  const destination = new CriuDestination(context, options, new Map());
  await assert.rejects(destination.settle(), /the rest of the memory of box has not come/);
  assert.equal(records.readSync('box')?.late, true);
  assert.ok((await readdir(images)).includes('pages-1.img'));
  await writeFile(path.join(images, 'pager.journal'), '{"restored":true}\n{"all":true}\n');
  await destination.settle();
  assert.equal(records.readSync('box')?.late, undefined);
  assert.equal(existsSync(images), false);
});

test('the restore is not reported before its pager has written it down', async (t) => {
  const { images, events, late } = await place(t);
  await late.begin(new PassThrough(), new FrameReader(), []);
  t.after(() => late.close(true));
  const restored = late.restored(AbortSignal.timeout(20_000)).then(
    () => 'restored',
    (error: unknown) => String(error),
  );
  const [pager] = pagersIn(await readFile(path.join(images, 'pagers'), 'utf8'));
  process.kill(pager?.pid ?? 0, 'SIGKILL');
  await until('it is lost', 20_000, async () => (events.length > 0 ? true : undefined));
  assert.equal(await restored, 'Error: its pager ended while it was restored');
  assert.match(events.join(), /^lost: /);
});

test('the removal of a container ends a restore that its mover began and did not record', async (t) => {
  const { records, images, context, options } = await place(t);
  await records.change('box', { init: undefined });
  const args = ['-c', 'echo 1; read line', 'runc', 'restore', '--image-path', images];
  const child = spawn('sh', args, { detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  t.after(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const lives: boolean[] = [];
  const runc = {
    run: async () => '[]',
    remove: async () => void lives.push(lifeOf({ ...restore }).state === 'alive'),
  };
  const restore = identify(child.pid ?? 0) ?? ownIdentity();
  const destination = new CriuDestination({ ...context, runc } as never, options, new Map());
  await destination.destroy(AbortSignal.timeout(20_000));
  assert.deepEqual(lives, [false]);
});
