import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../../src/clock.ts';
import {
  digestsFile,
  DigestsOut,
  keepPages,
  keptDirectory,
  KeptPages,
} from '../../../../src/drivers/criu/pages/kept-pages.ts';

const PAGE = 4096;
const MAX = 1024 ** 3;
const page = (fill: number): Buffer => Buffer.alloc(PAGE, fill);
const digestOf = (fill: number): Buffer => hash('sha256', page(fill), 'buffer');
const findAll = async (
  kept: KeptPages,
  fills: readonly number[],
): Promise<(Buffer | undefined)[]> => {
  const into = Buffer.alloc(fills.length * PAGE);
  const found = await kept.find(Buffer.concat(fills.map(digestOf)), into);
  return fills.map((_, at) =>
    found[at] === 1 ? into.subarray(at * PAGE, (at + 1) * PAGE) : undefined,
  );
};
const find = async (kept: KeptPages, fill: number): Promise<Buffer | undefined> =>
  (await findAll(kept, [fill]))[0];

describe('memory of a departed container', () => {
  let records: string;
  let images: string;
  const signal = new AbortController().signal;
  before(async () => {
    records = await mkdtemp(path.join(os.tmpdir(), 'godwit-kept-'));
    images = path.join(records, 'out');
  });
  after(() => rm(records, { recursive: true }));

  async function leave(name: string, pages: readonly Buffer[], mostBytes = MAX): Promise<void> {
    await mkdir(images, { recursive: true });
    await writeFile(path.join(images, 'pages-1.img'), Buffer.concat(pages));
    await writeFile(path.join(images, 'core-1.img'), 'no pages');
    await keepPages(images, { records, name, mostBytes });
  }
  const keptOf = (name: string): string => path.join(keptDirectory(records), name);

  test('memory that cannot be read, or not in time, counts as missing', async () => {
    await leave('slow', [page(1)]);
    const slow = await KeptPages.open(keptOf('slow'), MAX, signal, -1);
    assert.equal(slow.size, 0);
    await slow.close();
    await rm(keptOf('slow'), { recursive: true });
    await mkdir(path.join(keptOf('odd'), 'pages-1.img'), { recursive: true });
    const odd = await KeptPages.open(keptOf('odd'), MAX, signal);
    assert.equal(odd.size, 0);
    await odd.close();
    await rm(keptOf('odd'), { recursive: true });
  });

  test('memory is found by its content, once per page, and pages of zeroes are not recorded', async () => {
    await leave('web1', [page(1), page(0), page(2), page(1)]);
    assert.deepEqual(await readdir(keptOf('web1')), ['pages-1.img']);
    const kept = await KeptPages.open(keptOf('web1'), MAX, signal);
    assert.equal(kept.size, 2);
    assert.ok((await find(kept, 2))?.equals(page(2)));
    assert.equal(await find(kept, 3), undefined);
    const all = await findAll(kept, [2, 7, 1, 2]);
    assert.deepEqual(
      all.map((each) => each?.[0]),
      [2, undefined, 1, 2],
    );
    await kept.close();
  });

  test('memory that has changed is not found', async () => {
    const kept = await KeptPages.open(keptOf('web1'), MAX, signal);
    const handle = await open(path.join(keptOf('web1'), 'pages-1.img'), 'r+');
    await handle.write(page(9), 0, PAGE, 0);
    await handle.close();
    assert.equal(await find(kept, 1), undefined);
    await kept.close();
  });

  test('memory with recorded digests is not hashed again, and is compared all the same', async () => {
    const pages = [page(1), page(0), page(2), page(1)];
    await mkdir(images, { recursive: true });
    const file = path.join(images, 'pages-1.img');
    await writeFile(file, Buffer.concat(pages));
    const out = new DigestsOut(file);
    for (const each of [1, 0, 2, 1]) out.take(each === 0 ? Buffer.alloc(32) : digestOf(each));
    await out.end();
    await keepPages(images, { records, name: 'web7', mostBytes: MAX });
    assert.deepEqual(await readdir(keptOf('web7')), ['pages-1.digests', 'pages-1.img']);
    // What it is by now would be known were it hashed.
    const handle = await open(path.join(keptOf('web7'), 'pages-1.img'), 'r+');
    await handle.write(page(9), 0, PAGE, 2 * PAGE);
    await handle.close();
    const kept = await KeptPages.open(keptOf('web7'), MAX, signal);
    assert.equal(kept.size, 2);
    assert.deepEqual(
      (await findAll(kept, [9, 2, 1])).map((each) => each?.[0]),
      [undefined, undefined, 1],
    );
    await kept.close();
    const some = await KeptPages.open(keptOf('web7'), 2 * PAGE, signal);
    assert.equal(some.size, 1);
    await some.close();
    await writeFile(digestsFile(path.join(keptOf('web7'), 'pages-1.img')), digestOf(1));
    const anew = await KeptPages.open(keptOf('web7'), MAX, signal);
    assert.ok((await find(anew, 9)) !== undefined, 'of a list that is not whole nothing is used');
    await anew.close();
    await rm(keptOf('web7'), { recursive: true });
  });

  test('memory is read up to its bound, and a container that never left has none', async () => {
    const some = await KeptPages.open(keptOf('web1'), PAGE * 2, signal);
    assert.equal(some.size, 1);
    await some.close();
    assert.equal((await KeptPages.open(keptOf('other'), MAX, signal)).size, 0);
  });

  test('memory of an earlier move is replaced by the newer one, and the oldest is removed first', async () => {
    await leave('web1', [page(5)]);
    const kept = await KeptPages.open(keptOf('web1'), MAX, signal);
    assert.equal(kept.size, 1);
    await kept.close();
    await leave('web2', [page(1), page(2)], 2 * PAGE);
    assert.equal(existsSync(keptOf('web1')), false);
    assert.equal(existsSync(keptOf('web2')), true);
    await leave('web3', [page(1), page(2)], PAGE);
    assert.equal(existsSync(keptOf('web3')), false, 'more than may be kept');
    await leave('web2', [page(1)], 0);
    assert.equal(existsSync(keptOf('web2')), false, 'nothing is to be kept');
  });

  test('memory stays for a day at most', async () => {
    await leave('web4', [page(1)]);
    const before = new Date(systemClock.wallMs() - 25 * 3_600_000);
    await utimes(keptOf('web4'), before, before);
    await leave('web5', [page(2)]);
    assert.equal(existsSync(keptOf('web4')), false);
    assert.equal(existsSync(keptOf('web5')), true);
  });
});
