import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import * as hello from '../../../src/wire/relay/hello.ts';
import type { WireCache } from '../../../src/wire/cache/circles.ts';

const secrets = [1, 2, 3].map((byte) => Buffer.alloc(32, byte));

test('two hosts with common secrets of the site agree on one of them, and other hosts on none', (t) => {
  const root = mkdtempSync(path.join(os.tmpdir(), 'godwit-hello-'));
  t.after(() => rmSync(root, { recursive: true, force: true }));
  const cacheOf = (side: string, own: readonly number[]): WireCache | undefined => {
    const [first, ...rest] = own.map((each) => secrets[each] ?? Buffer.alloc(32));
    if (first === undefined) return undefined;
    const directory = path.join(root, side);
    const kept = { directory, mostBytes: 1024, sharing: { with: 'host' }, peer: 'other' } as const;
    const placesFile = path.join(directory, 'places');
    return { ...kept, secret: first, earlier: rest, seeds: true, placesFile };
  };
  const ownSecrets = fc.uniqueArray(fc.nat(2), { maxLength: 3 });
  fc.assert(
    fc.property(ownSecrets, ownSecrets, fc.boolean(), (near, far, isEarlierBuild) => {
      const [source, target] = [cacheOf('source', near), cacheOf('target', far)];
      const cells = 1024;
      const { earlier, ...plain } = hello.reportCache(source, cells);
      const reported = isEarlierBuild || earlier === undefined ? plain : { ...plain, earlier };
      const settings = hello.RELAY_SETTINGS;
      const said = {
        type: 'hello',
        version: 1,
        settings,
        seed: '0'.repeat(16),
        cells,
        ...reported,
      };
      const read = hello.sourceHello.parse(JSON.parse(JSON.stringify(said)));
      const answer = hello.answerCache(target, read, cells * 4096);
      const common = near.slice(0, isEarlierBuild ? 1 : 3).filter((each) => far.includes(each));
      const agreedHere = hello.agreedCache(target, answer.tag, read.digest, cells);
      const agreedThere = hello.agreedCache(source, answer.tag, answer.digest, cells);
      if (common.length > 0) {
        assert.deepEqual(agreedHere?.secret, agreedThere?.secret);
        assert.ok(
          common.some((each) => secrets[each]?.equals(agreedHere?.secret ?? Buffer.alloc(0))),
        );
      } else if (agreedThere !== undefined) {
        // A source of an earlier build would compare the tag with its only one.
        assert.ok(isEarlierBuild && answer.tag !== read.tag);
      }
    }),
  );
});

test('a guest above 8 GiB has half a window if there is a cache, and any other one a full window', () => {
  const whole = hello.RELAY_SETTINGS;
  const cells = (gib: number): number => hello.cellsFor(gib * 2 ** 30);
  assert.deepEqual(hello.settingsFor({ tag: 'circle' }, cells(8)), whole);
  assert.deepEqual(hello.settingsFor({ tag: null }, cells(16)), whole);
  const half = { ...whole, windowPages: whole.windowPages / 2 };
  assert.deepEqual(hello.settingsFor({ tag: 'circle' }, cells(9)), half);
});

test('a source that requests too much is refused, and gets no cache for more pages than its guest has', (t) => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-hello-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const settings = hello.RELAY_SETTINGS;
  const said = { type: 'hello', version: 1, settings, seed: '0'.repeat(16), tag: null, digest: '' };
  const cells = hello.cellsFor(2 ** 30);
  const ask = (more: object) => hello.sourceHello.safeParse({ ...said, cells, ...more });
  assert.equal(ask({}).success, true);
  // The largest that a build has used.
  const earlier = { windowPages: 16_384, batchBytes: 384 * 1024, batchItems: 2048 };
  assert.equal(ask({ settings: earlier }).success, true);
  for (const larger of [
    { windowPages: 65_536 },
    { batchBytes: 4 * 2 ** 20 },
    { batchItems: 16_384 },
  ])
    assert.equal(ask({ settings: { ...settings, ...larger } }).success, false);
  const [secret = Buffer.alloc(32)] = secrets;
  const kept = { directory, mostBytes: 1024, sharing: { with: 'host' }, peer: 'other' } as const;
  const cache = { ...kept, secret, seeds: true, placesFile: path.join(directory, 'places') };
  const asked = hello.sourceHello.parse({ ...said, cells });
  assert.notEqual(hello.answerCache(cache, asked, 2 ** 30).tag, null);
  assert.equal(hello.answerCache(cache, asked, 2 ** 29).tag, null);
});
