import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { duplexPair, PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { encodeFrame, FrameReader, KINDS } from '../../../src/drivers/criu/link/frames.ts';
import { PageReceiver } from '../../../src/drivers/criu/link/receiver.ts';
import { PageSender } from '../../../src/drivers/criu/link/sender.ts';
import { until } from '../../until.ts';
import { inDirectory } from './in-directory.ts';

const MAX = 64 * 1024 ** 2;

for (const packs of [false, true]) {
  test(`files arrive unchanged, and no page twice (${packs ? 'zstd' : 'plain'})`, () =>
    inDirectory(async (directory) => {
      const page = (fill: number): Buffer => Buffer.alloc(4096, fill);
      const contents = new Map([
        ['pages-1.img', Buffer.concat([page(1), page(0), page(2), page(1), Buffer.from('end')])],
        ['pages-2.img', Buffer.concat([page(2), page(1)])],
        ['empty.img', Buffer.alloc(0)],
      ]);
      for (const [name, bytes] of contents) await writeFile(path.join(directory, name), bytes);
      const [near, far] = duplexPair();
      const receiver = new PageReceiver(directory, 'web1', MAX);
      const taken = receiver.take(far);
      const sender = new PageSender(near, packs);
      await sender.send(KINDS.hello, { version: 1, guest: 'web1' });
      await sender.heard(KINDS.ready, AbortSignal.timeout(5000));
      await sender.pages(page(1));
      for (const name of contents.keys()) {
        await sender.file(name, 'image', path.join(directory, name));
      }
      await sender.send(KINDS.done);
      await taken;
      for (const [name, bytes] of contents) {
        assert.ok(bytes.equals(await readFile(path.join(directory, 'images', name))), name);
      }
      assert.equal(sender.newPages, 3, 'one of ones, one of twos, and the last');
      sender.close();
    }));
}

/** A sender whose destination, at `far`, has said that it has kept pages. */
async function askingSender() {
  const [near, far] = duplexPair();
  const sender = new PageSender(near, false);
  far.write(encodeFrame(KINDS.ready, Buffer.from('{"kept":true}')));
  await sender.heard(KINDS.ready, AbortSignal.timeout(5000));
  return { sender, far };
}

test('pages that wait for an answer keep no larger buffer in memory', async () => {
  const { sender } = await askingSender();
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  let freed = 0;
  const registry = new FinalizationRegistry(() => (freed += 1));
  const BUFFERS = 20;
  for (let at = 1; at <= BUFFERS; at += 1) {
    // One new page each, among those that are empty.
    const memory = Buffer.alloc(64 * 4096);
    memory.fill(at, 0, 4096);
    registry.register(memory.buffer, at);
    await sender.learn(memory);
  }
  await until('the buffers to be freed', 20_000, async () => {
    collect();
    await setImmediate();
    return freed >= BUFFERS - 2 ? true : undefined;
  });
  assert.equal(sender.newPages, 0, 'they wait still');
  sender.close();
});

test('the next pages are looked at while the destination searches the previous ones', async () => {
  const { sender, far } = await askingSender();
  const pages = (from: number): Buffer => {
    const all = Buffer.alloc(1024 * 4096);
    for (let at = 0; at < 1024; at += 1) all.writeUInt32LE(from + at, at * 4096);
    return all;
  };
  const asked: number[] = [];
  const reader = new FrameReader();
  far.on('data', (bytes: Buffer) => asked.push(...reader.push(bytes).map(({ kind }) => kind)));
  // No answer comes: this ends all the same.
  await sender.learn(pages(1));
  await sender.learn(pages(2000).subarray(4096));
  // What is asked for already is not asked for again.
  await sender.learn(pages(1));
  const learned = sender.learned();
  await setImmediate();
  assert.deepEqual(asked, [KINDS.ask], 'one question at a time');
  far.write(encodeFrame(KINDS.have, Buffer.alloc(128)));
  await until('the second question', 5000, async () =>
    asked.at(-1) === KINDS.ask && asked.length > 1 ? true : undefined,
  );
  // Those that it lacks come before any other question.
  assert.deepEqual(asked.slice(1), [...Array.from({ length: 4 }, () => KINDS.pages), KINDS.ask]);
  far.write(encodeFrame(KINDS.have, Buffer.alloc(128, 0xff)));
  await learned;
  assert.equal(sender.newPages, 1024);
  sender.close();
});

test('a missing answer ends the transfer', async (t) => {
  const { sender } = await askingSender();
  await sender.learn(Buffer.alloc(4096, 1));
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const learned = assert.rejects(sender.learned(), /the destination is silent/);
  await setImmediate();
  t.mock.timers.tick(180_000);
  await learned;
  sender.close();
});

test('an answer of another length than the question ends the transfer', async () => {
  const { sender, far } = await askingSender();
  await sender.learn(Buffer.alloc(4096, 1));
  far.on('data', () => far.write(encodeFrame(KINDS.have, Buffer.alloc(2))));
  await assert.rejects(sender.learned(), /an answer to nothing asked/);
  sender.close();
});

test("any stream that is not a container's is refused without hanging", () =>
  inDirectory(async (directory) => {
    const kind = fc.constantFrom(...Object.values(KINDS));
    const body = fc.oneof(
      fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
      fc.json().map((text) => Buffer.from(text)),
      fc.constant(Buffer.from('{"name":"../../x","bytes":1,"what":"image"}')),
      fc.constant(Buffer.from('{"name":"a.img","bytes":4096,"what":"image"}')),
      fc.constant(Buffer.alloc(4, 7)),
    );
    const frames = fc.array(fc.tuple(kind, body), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(frames, fc.boolean(), async (sent, greets) => {
        const stream = new PassThrough();
        const hello = Buffer.from('{"version":1,"guest":"web1"}');
        if (greets) stream.write(encodeFrame(KINDS.hello, hello));
        for (const [each, bytes] of sent) stream.write(encodeFrame(each, bytes));
        stream.end();
        const took = await new PageReceiver(directory, 'web1', MAX).take(stream).then(
          () => 'whole',
          () => 'refused',
        );
        if (took === 'whole') assert.ok(sent.some(([each]) => each === KINDS.done));
      }),
      { numRuns: 60 },
    );
  }));

test("pages beyond the container's number are refused", () =>
  inDirectory(async (directory) => {
    const stream = new PassThrough();
    stream.write(encodeFrame(KINDS.hello, Buffer.from('{"version":1,"guest":"web1"}')));
    stream.write(encodeFrame(KINDS.pages, Buffer.alloc(3 * 4096)));
    await assert.rejects(
      new PageReceiver(directory, 'web1', 2 * 4096).take(stream),
      /more than 8192/,
    );
  }));

test("files of pages larger than the container's are refused", () =>
  inDirectory(async (directory) => {
    const begun = (): PassThrough => {
      const stream = new PassThrough();
      stream.write(encodeFrame(KINDS.hello, Buffer.from('{"version":1,"guest":"web1"}')));
      return stream;
    };
    const most = 8 * 4096;
    const head = (name: string, bytes: number, what = 'image'): Buffer =>
      encodeFrame(KINDS.file, Buffer.from(JSON.stringify({ name, bytes, what })));
    const large = begun();
    for (const name of ['a.img', 'b.img', 'c.img']) {
      large.write(head(name, most));
      large.write(encodeFrame(KINDS.refs, Buffer.alloc(8 * 4, 0xff)));
    }
    await assert.rejects(new PageReceiver(directory, 'web1', most).take(large), /bytes of files/);
    const twice = begun();
    for (const _ of [1, 2, 3]) {
      twice.write(head('root', 2 * most, 'root'));
      twice.write(encodeFrame(KINDS.refs, Buffer.alloc(16 * 4, 0xff)));
    }
    twice.write(encodeFrame(KINDS.done));
    await new PageReceiver(directory, 'web1', most).take(twice);
    const many = begun();
    many.write(head('a.img', 4096 * 4096));
    many.write(encodeFrame(KINDS.refs, Buffer.alloc(1025 * 4, 0xff)));
    await assert.rejects(new PageReceiver(directory, 'web1', MAX).take(many), /pages at once/);
  }));

test('a wait for the other side sees an earlier cancel', async () => {
  const [near, far] = duplexPair();
  const sender = new PageSender(near, false);
  await assert.rejects(
    sender.heard(KINDS.ready, AbortSignal.abort(new Error('the source cancelled'))),
    /the source cancelled/,
  );
  sender.close();
  far.destroy();
});

test('pages that may come later are left out, except for those that the destination has', () =>
  inDirectory(async (directory) => {
    const page = (fill: number): Buffer => Buffer.alloc(4096, fill);
    const file = path.join(directory, 'pages-7.img');
    await writeFile(file, Buffer.concat([page(1), page(2), page(3), page(0), page(4)]));
    const [near, far] = duplexPair();
    const receiver = new PageReceiver(directory, 'web1', MAX);
    const taken = receiver.take(far);
    const sender = new PageSender(near, false);
    await sender.send(KINDS.hello, { version: 1, guest: 'web1' });
    await sender.heard(KINDS.ready, AbortSignal.timeout(5000));
    await sender.pages(page(2));
    const late = new Uint8Array([0, 1, 1, 1, 1]);
    await sender.file('pages-7.img', 'image', file, { late });
    await sender.send(KINDS.done, { late: true });
    await taken;
    assert.equal(receiver.isLate, true);
    assert.deepEqual([...late], [0, 0, 1, 0, 1], 'the others need not come');
    const images = path.join(directory, 'images');
    assert.deepEqual([...(await readFile(path.join(images, 'came-7.map')))], [1, 1, 0, 1, 0]);
    const there = Buffer.concat([page(1), page(2), page(0), page(0), page(0)]);
    assert.ok(there.equals(await readFile(path.join(images, 'pages-7.img'))));
    sender.close();
  }));
