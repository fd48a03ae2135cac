import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { duplexPair, PassThrough } from 'node:stream';
import { test } from 'node:test';
import fc from 'fast-check';
import { FrameReader, KINDS } from '../../../../src/drivers/criu/link/frames.ts';
import { KeptAnswers } from '../../../../src/drivers/criu/pages/kept-answers.ts';
import { KeptPages } from '../../../../src/drivers/criu/pages/kept-pages.ts';
import { groupQuestion } from '../../../../src/drivers/criu/pages/page-groups.ts';
import { PageReceiver } from '../../../../src/drivers/criu/link/receiver.ts';
import { PageSender } from '../../../../src/drivers/criu/link/sender.ts';
import { inDirectory } from '../in-directory.ts';

const MAX = 64 * 1024 ** 2;

/** Told apart by their number; 0 is a page of zeroes. */
const numbered = (numbers: readonly number[]): Buffer =>
  Buffer.from(Uint32Array.from(numbers.flatMap((each) => Array<number>(1024).fill(each))).buffer);

/** What the frames were that `sender` sent to a destination that has kept these pages, and the file as it arrived. */
async function returned(
  directory: string,
  { kept, memory, dump }: Record<'kept' | 'memory' | 'dump', readonly number[]>,
) {
  const at = await mkdtemp(path.join(directory, 'kept-'));
  await writeFile(path.join(at, 'pages-1.img'), numbered(kept));
  const store = await KeptPages.open(at, MAX, new AbortController().signal);
  const [near, far] = duplexPair();
  const receiver = new PageReceiver(
    directory,
    'web1',
    MAX,
    () => {},
    async () => store,
  );
  const kinds: number[] = [];
  const taken = receiver.take(far);
  const sender = new PageSender(near, false);
  await sender.send(KINDS.hello, { version: 1, guest: 'web1' });
  await sender.heard(KINDS.ready, AbortSignal.timeout(5000));
  sender.onFrame = ({ kind }) => void kinds.push(kind);
  await sender.learn(numbered(memory));
  await sender.learned();
  const learnedBytes = sender.sentBytes;
  const file = path.join(directory, 'pages-1.img');
  await writeFile(file, numbered(dump));
  await sender.file('pages-1.img', 'image', file);
  await sender.send(KINDS.done);
  await taken;
  sender.close();
  await store.close();
  const arrived = await readFile(path.join(directory, 'images', 'pages-1.img'));
  assert.ok(arrived.equals(numbered(dump)));
  return { newPages: sender.newPages, learnedBytes, kinds };
}

test('pages that the destination has kept are not sent, and every file arrives unchanged', () =>
  inDirectory(async (directory) => {
    const run = fc.tuple(fc.integer({ min: 0, max: 90 }), fc.integer({ min: 1, max: 70 }));
    const fills = fc
      .array(run, { maxLength: 3 })
      .map((runs) =>
        runs.flatMap(([first, count]) => Array.from({ length: count }, (_, at) => first + at)),
      );
    await fc.assert(
      fc.asyncProperty(fills, fills, fills, async (kept, memory, dump) => {
        const { newPages } = await returned(directory, { kept, memory, dump });
        const had = (each: number): boolean => memory.includes(each) && kept.includes(each);
        const sent = new Set([...memory, ...dump].filter((each) => each !== 0 && !had(each)));
        assert.equal(newPages, sent.size);
      }),
      { numRuns: 60 },
    );
  }));

test('unchanged pages are requested by groups, and only pages of other groups one by one', () =>
  inDirectory(async (directory) => {
    const kept = Array.from({ length: 2048 }, (_, at) => at + 1);
    const whole = await returned(directory, { kept, memory: kept, dump: kept });
    assert.equal(whole.newPages, 0);
    assert.deepEqual(whole.kinds, [KINDS.haveGroups, KINDS.haveGroups]);
    // 64 groups of 48 bytes, where all the digests are 64 KiB.
    assert.ok(whole.learnedBytes < 4096, `${whole.learnedBytes} bytes`);
    const memory = kept.with(40, 5000);
    const { newPages, kinds } = await returned(directory, { kept, memory, dump: memory });
    assert.equal(newPages, 1);
    assert.deepEqual(kinds, [KINDS.haveGroups, KINDS.have, KINDS.haveGroups]);
  }));

test('a group with a changed page is requested page by page', () =>
  inDirectory(async (directory) => {
    const at = path.join(directory, 'kept');
    await mkdir(at);
    const file = path.join(at, 'pages-1.img');
    const kept = Array.from({ length: 64 }, (_, index) => index + 1);
    await writeFile(file, numbered(kept));
    const store = await KeptPages.open(at, MAX, new AbortController().signal);
    await writeFile(file, numbered(kept.with(3, 999)));
    const digests = Buffer.concat(kept.map((each) => hash('sha256', numbered([each]), 'buffer')));
    const written: number[] = [];
    let next = 0;
    const answers = new KeptAnswers({
      kept: () => store,
      next: (count) => Array.from({ length: count }, () => next++),
      write: async (pages, first) => void written.push(first, pages.length / 4096),
    });
    const stream = new PassThrough();
    const said = (): Buffer => new FrameReader().push(stream.read() as Buffer)[0]?.body as Buffer;
    await answers.groups(groupQuestion(digests), stream);
    assert.deepEqual([...said()], [0b10]);
    await assert.rejects(answers.groups(groupQuestion(digests), stream), /two questions/);
    await assert.rejects(answers.pages(digests, stream), /bytes of digests/);
    await answers.pages(digests.subarray(0, 32 * 32), stream);
    assert.deepEqual([...said()], [0b1111_0111, 0xff, 0xff, 0xff]);
    assert.deepEqual(answers.lacking, [3]);
    assert.deepEqual(written, [32, 32, 0, 3, 4, 28]);
    await store.close();
  }));
