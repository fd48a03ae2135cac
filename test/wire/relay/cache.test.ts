import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { Sharing } from '../../../src/wire/cache/scope.ts';
import type { WireCache } from '../../../src/wire/cache/circles.ts';
import type { Way } from './memory-session.ts';
import { readAll, relayPair } from './pair.ts';
import { longStream } from './streams.ts';

const PAGES = 1200;
const HOST = { with: 'host' } as const;
const SECRET = Buffer.alloc(32, 3);

interface CacheOf {
  readonly guest?: string;
  readonly sharing?: Exclude<Sharing, { with: 'none' }>;
  readonly secret?: Buffer;
  readonly earlier?: Buffer[];
  readonly mostBytes?: number;
}

/** A host's cache, as a guest of it sees it. */
function host(context: TestContext): (of?: CacheOf) => WireCache {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'godwit-relay-cache-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return ({
    guest = 'web1',
    sharing = HOST,
    secret = SECRET,
    earlier = [],
    mostBytes = 64 * 2 ** 20,
  } = {}) => ({
    directory,
    mostBytes,
    secret,
    earlier,
    sharing,
    peer: 'other',
    seeds: true,
    placesFile: path.join(directory, `${guest}.places`),
  });
}

/** Moves a guest's memory; gives the bytes that were sent, and how the pages were encoded. */
async function move(
  context: TestContext,
  stream: Buffer,
  nearCache: WireCache | undefined,
  farCache: WireCache | undefined,
  way?: Way,
) {
  const caches = { ...(nearCache && { nearCache }), ...(farCache && { farCache }) };
  const pair = await relayPair(context, {
    ...caches,
    ...(way && { way }),
    memoryBytes: PAGES * 4096,
  });
  const near = await pair.connect();
  const far = await pair.accept();
  near.end(stream);
  assert.ok((await readAll(far)).equals(stream));
  far.end();
  await readAll(near);
  await Promise.all([pair.source.close(60_000), pair.target.close(60_000)]);
  await pair.near.close(60_000);
  const sent = pair.near.sent.values().reduce((sum, bytes) => sum + bytes, 0);
  const [tally] = pair.source.figures.tallies;
  return { sent, encoded: tally!.encoded, misses: tally!.misses };
}

describe('the caches of two hosts', () => {
  test("two caches spare a second guest the first one's pages, and a returning one the unchanged pages", async (context) => {
    const [a, b] = [host(context), host(context)];
    const stream = longStream(PAGES);
    const first = await move(context, stream, a(), b());
    assert.equal(first.encoded.cached + first.encoded.base, 0);
    const second = await move(context, stream, a({ guest: 'web2' }), b({ guest: 'web2' }));
    assert.equal(second.encoded.literal, 0);
    assert.ok(second.sent * 10 < first.sent, `${second.sent} of ${first.sent} bytes`);
    for (const [guest, at] of [
      ['web1', 200_000],
      ['web2', 300_000],
    ] as const) {
      const changed = Buffer.from(stream);
      changed[at]! ^= 0xff;
      const back = await move(context, changed, b({ guest }), a({ guest }));
      assert.equal(back.encoded.literal, 0);
      assert.equal(back.encoded.deltaOfBase, 1);
      assert.equal(back.misses, 0);
      assert.ok(back.sent * 100 < first.sent, `${back.sent} of ${first.sent} bytes`);
    }
  });

  test('two caches smaller than a guest are not asked for pages that they have dropped', async (context) => {
    // A fourth of the guest. What comes in the meantime takes the place of that fourth, too.
    const mostBytes = (PAGES * 4096) / 4;
    const [a, b] = [host(context), host(context)];
    const stream = longStream(PAGES);
    const there = await move(context, stream, a({ mostBytes }), b({ mostBytes }));
    assert.equal(there.misses, 0);
    const back = await move(context, stream, b({ mostBytes }), a({ mostBytes }));
    assert.ok(back.misses <= PAGES / 4, `${back.misses} pages missed`);
  });

  test('two caches cannot help each other across circles, sites and a side without one', async (context) => {
    const [a, b] = [host(context), host(context)];
    const stream = longStream(PAGES);
    await move(context, stream, a(), b());
    const tenant = { with: 'tenant', tenant: 'blue' } as const;
    const others: [WireCache | undefined, WireCache | undefined][] = [
      [a({ sharing: tenant }), b({ sharing: tenant })],
      [a(), b({ sharing: tenant })],
      [a(), b({ secret: Buffer.alloc(32, 9) })],
      [a(), undefined],
      [undefined, b()],
    ];
    for (const [near, far] of others) {
      const { encoded } = await move(context, stream, near, far);
      assert.equal(encoded.cached + encoded.base + encoded.deltaOfBase, 0);
    }
  });

  test('two caches help throughout a change of the secret, in any order', async (context) => {
    const [a, b] = [host(context), host(context)];
    const stream = longStream(PAGES);
    const next = { secret: Buffer.alloc(32, 9), earlier: [SECRET] };
    await move(context, stream, a(), b());
    const found = async (near: WireCache, far: WireCache): Promise<number> => {
      const { encoded } = await move(context, stream, near, far);
      return encoded.cached + encoded.base + encoded.deltaOfBase;
    };
    const all = await found(a(), b());
    assert.ok(all > 500, `${all} pages`);
    // One has changed over, then the other one, then both.
    assert.equal(await found(a(next), b()), all);
    assert.equal(await found(a(), b(next)), all);
    assert.equal(await found(a(next), b(next)), all);
    // A host that joins meanwhile has the new one alone: nothing was exchanged with it yet, and from then on there is.
    const c = host(context);
    const young = { secret: next.secret };
    assert.equal(await found(a({ ...next, guest: 'web2' }), c({ ...young, guest: 'web2' })), 0);
    const again = { guest: 'web2' };
    assert.equal(await found(a({ ...next, ...again }), c({ ...young, ...again })), all);
    // After the overlap the old names are nothing, and the guest moves all the same.
    const [d, e] = [host(context), host(context)];
    await move(context, stream, d(), e());
    assert.equal(await found(d(young), e(young)), 0);
  });

  test('two caches may drop pages during a move, and missing ones are sent', async (context) => {
    const [a, b] = [host(context), host(context)];
    const stream = longStream(PAGES);
    await move(context, stream, a(), b());
    // After the far side has said what it has, and before any of it is encoded.
    let forgot = false;
    const way: Way = (channel) => {
      if (channel === 32 && !forgot) {
        forgot = true;
        const { directory } = b();
        for (const name of readdirSync(directory)) {
          if (name.endsWith('.pages')) truncateSync(path.join(directory, name), 0);
        }
      }
      return Promise.resolve();
    };
    const again = await move(context, stream, a({ guest: 'web3' }), b({ guest: 'web3' }), way);
    assert.ok(again.misses > 500, `${again.misses} misses`);
    const third = await move(context, stream, a({ guest: 'web4' }), b({ guest: 'web4' }));
    assert.equal(third.misses, 0);
  });

  test('two caches fail nothing if one cannot be opened', async (context) => {
    const [a, b] = [host(context), host(context)];
    const stream = longStream(50);
    const file = path.join(b().directory, 'file');
    writeFileSync(file, '');
    await move(context, stream, a(), { ...b(), directory: path.join(file, 'cache') });
    await move(context, stream, { ...a(), directory: path.join(file, 'cache') }, b());
  });

  test("two caches that differ in a guest's places start with none of them", async (context) => {
    const [a, b] = [host(context), host(context)];
    const stream = longStream(PAGES);
    await move(context, stream, a(), b());
    rmSync(b().placesFile);
    const back = await move(context, stream, b(), a());
    assert.equal(back.encoded.base + back.encoded.deltaOfBase, 0);
    assert.ok(back.encoded.cached > 500);
  });
});
