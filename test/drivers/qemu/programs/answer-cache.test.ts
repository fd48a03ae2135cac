import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { z } from 'zod';
import { ImageStore } from '../../../../src/drivers/qemu/images/images.ts';
import { readKept, writeKept } from '../../../../src/drivers/qemu/programs/answer-cache.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

test('an answer that many processes find at once is kept whole, with nothing left next to it', async (t) => {
  const cache = path.join(tempDir(t), 'cache');
  const file = path.join(cache, 'a.json');
  const values = Array.from({ length: 50 }, (_, nth) => ({ nth, text: 'x'.repeat(nth * 1000) }));
  await Promise.all(values.map((value) => writeKept(file, value)));
  const kept = JSON.parse(readFileSync(file, 'utf8')) as { nth: number };
  assert.deepEqual(kept, values[kept.nth]);
  assert.deepEqual(readdirSync(cache), ['a.json']);
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test('an answer that cannot be moved into place is an error, and leaves nothing', async (t) => {
  const cache = tempDir(t);
  await assert.rejects(writeKept(path.join(cache, 'a\0'), {}));
  assert.deepEqual(readdirSync(cache), []);
});

test('a damaged, empty or malformed answer counts as missing', async (t) => {
  const file = path.join(tempDir(t), 'a.json');
  const shape = z.object({ nth: z.number() });
  await writeKept(file, { nth: 1 });
  assert.deepEqual(await readKept(file, shape), { nth: 1 });
  for (const text of ['', '{"nth": 1', '{"nth": "1"}']) {
    writeFileSync(file, text);
    assert.equal(await readKept(file, shape), undefined);
  }
  assert.equal(await readKept(`${file}.none`, shape), undefined);
});

test('many callers may ask for one image at once', async (t) => {
  const dir = tempDir(t);
  const file = path.join(dir, 'vmlinuz');
  writeFileSync(file, 'kernel');
  const store = new ImageStore(path.join(dir, 'cache'));
  const all = await Promise.all(Array.from({ length: 20 }, () => store.identify(file, t.signal)));
  assert.equal(new Set(all.map(({ sha256 }) => sha256)).size, 1);
  assert.equal(readdirSync(path.join(dir, 'cache')).length, 1);
});
