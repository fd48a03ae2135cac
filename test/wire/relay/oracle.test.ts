import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { agentConfig, type AgentConfig } from '../../../src/config.ts';
import { cacheFor, offerOf } from '../../../src/host/wire.ts';
import { circlesOf, type WireCache } from '../../../src/wire/cache/circles.ts';
import { FarCache } from '../../../src/wire/cache/contents.ts';
import { knownBy, tellKnown } from '../../../src/wire/cache/known.ts';
import { Places } from '../../../src/wire/cache/places.ts';
import { Scope } from '../../../src/wire/cache/scope.ts';
import { Store } from '../../../src/wire/cache/store.ts';
import { Summary } from '../../../src/wire/cache/summary.ts';
import { CHANNEL, Channels } from '../../../src/links/channels.ts';
import * as hello from '../../../src/wire/relay/hello.ts';
import { TargetRelay } from '../../../src/wire/relay/target.ts';
import { sessionPair } from './memory-session.ts';
import { readAll, relayPair } from './pair.ts';
import { longStream, pageOfStream } from './streams.ts';

/**
 * Host c holds a valid certificate and the site's secret, and never had the guest `web1`, which came to host b from
 * host a. What does b reveal to c of it?
 */
const PAGES = 600;
const MEMORY = PAGES * 4096;
const SECRET = 'ab'.repeat(32);

type SharingScope = 'guest' | 'tenant' | 'host';

function hostOf(t: TestContext, name: string, scope: SharingScope): AgentConfig {
  const stateDir = mkdtempSync(path.join(os.tmpdir(), 'godwit-oracle-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  mkdirSync(path.join(stateDir, 'pki'));
  writeFileSync(path.join(stateDir, 'pki', 'site.secret'), `${SECRET}\n`);
  const tenants = { web1: 'blue', web2: 'blue' };
  return agentConfig.parse({
    name,
    address: '127.0.0.1:7443',
    stateDir,
    cache: { scope, tenants },
  });
}

const termsOf = (sharing: SharingScope) => ({ linkGraceMs: 1000, sharing, tenant: 'blue' });

function cacheOf(
  config: AgentConfig,
  guest: string,
  sharing: SharingScope,
  peer: string,
): WireCache {
  const cache = cacheFor(config, guest, termsOf(sharing), peer);
  assert.ok(cache !== undefined);
  return cache;
}

/** Moves a guest's memory from one host to another; gives how its pages were encoded. */
async function move(t: TestContext, nearCache: WireCache, farCache: WireCache, stream: Buffer) {
  const pair = await relayPair(t, { nearCache, farCache, memoryBytes: MEMORY });
  const near = await pair.connect();
  const far = await pair.accept();
  near.end(stream);
  assert.ok((await readAll(far)).equals(stream));
  far.end();
  await readAll(near);
  await Promise.all([pair.source.close(60_000), pair.target.close(60_000)]);
  await pair.near.close(60_000);
  return pair.source.figures.tallies[0]!.encoded;
}

/** What b answers to the first words of a source, whoever that is. */
async function reportedBy(t: TestContext, cache: WireCache) {
  const [near, far] = sessionPair();
  const relay = new TargetRelay(far, {
    socket: '/nowhere',
    peer: 'c',
    memoryBytes: 2 ** 30,
    cache,
  });
  t.after(() => relay.fail(new Error('the test is over')));
  const channels = new Channels(near);
  const answer = Promise.withResolvers<hello.TargetHello>();
  channels.on(CHANNEL.control, (bytes) => {
    const message = hello.readMessage(hello.toSource, bytes, 'b');
    if (message.type === 'hello') answer.resolve(message);
    return Promise.resolve();
  });
  const pieces: Uint8Array[] = [];
  const summary = Promise.withResolvers<Buffer>();
  channels.on(CHANNEL.summary, async (bytes) => {
    pieces.push(Buffer.from(bytes));
    const whole = Buffer.concat(pieces);
    if (whole.length >= (await answer.promise).summaryBytes) summary.resolve(whole);
  });
  const { tag } = new Scope(cache.secret, cache.sharing);
  const asked = {
    type: 'hello',
    version: hello.RELAY_VERSION,
    settings: hello.RELAY_SETTINGS,
    seed: '0123456789abcdef',
    tag,
    cells: hello.cellsFor(MEMORY),
    digest: '',
  } as const;
  await channels.send(CHANNEL.control, hello.writeMessage(asked));
  return { hello: await answer.promise, summary: new Summary(await summary.promise) };
}

describe('a curious host', () => {
  for (const sharing of ['guest', 'tenant', 'host'] as const) {
    const what = `where caches are shared by ${sharing}`;

    /** web1 came to b from a. */
    async function fleet(t: TestContext) {
      const [a, b, c] = ['a', 'b', 'c'].map((name) => hostOf(t, name, sharing));
      const stream = longStream(PAGES);
      await move(t, cacheOf(a!, 'web1', sharing, 'b'), cacheOf(b!, 'web1', sharing, 'a'), stream);
      const guesses = [0, 1, 3, 4].map((page) => pageOfStream(page));
      return { a: a!, b: b!, c: c!, stream, guesses };
    }

    test(`a summary never shows a curious host which of its guesses are a guest's pages, ${what}`, async (t) => {
      const { b, guesses } = await fleet(t);
      const cache = cacheOf(b, 'web1', sharing, 'c');
      const { summary } = await reportedBy(t, cache);
      const scope = new Scope(cache.secret, cache.sharing);
      const known = guesses.filter((page) => summary.has(scope.nameOf(page)));
      assert.equal(known.length, 0, `the summary says yes to ${known.length} of 4 guessed pages`);
      assert.equal(summary.size, 0);
    });

    test(`a curious host finds each of its guesses missing when it names them all the same, ${what}`, async (t) => {
      const { b, guesses } = await fleet(t);
      const { placesFile: _, ...cache } = cacheOf(b, 'web1', sharing, 'c');
      const scope = new Scope(cache.secret, cache.sharing, 'c');
      const store = await Store.open({ ...cache, scope });
      t.after(() => store.close());
      const far = new FarCache(store, scope, Places.empty(1024));
      const into = Buffer.alloc(4096);
      const found = guesses.filter((page) => far.read(scope.nameOf(page), into) !== undefined);
      assert.equal(found.length, 0, `${found.length} of 4 guessed pages are there by name`);
    });

    test(`a plan never shows a curious host which of its guesses are a guest's pages, ${what}`, async (t) => {
      const { a, b, c, guesses } = await fleet(t);
      const toldTo = async (to: AgentConfig) => {
        const cache = cacheOf(b, 'web1', sharing, to.name);
        const own = cacheOf(to, 'web1', sharing, 'b');
        const part = await tellKnown(
          cache,
          circlesOf(own).map(({ scope }) => scope.tag),
        );
        assert.ok(part !== undefined);
        const isThere = knownBy(own, part);
        return guesses.map((page) => isThere?.(page));
      };
      assert.deepEqual(await toldTo(c), [false, false, false, false]);
      assert.deepEqual(await toldTo(a), [true, true, true, true]);
    });

    test(`a curious host is told neither a guest's places nor that it is known, ${what}`, async (t) => {
      const { b } = await fleet(t);
      const { hello: reported } = await reportedBy(t, cacheOf(b, 'web1', sharing, 'c'));
      assert.equal(
        reported.digest,
        '',
        'with this digest c could have b fill a guest of c with them',
      );
      assert.equal(offerOf(b, 'web1', 'c').knowsGuest, false);
      assert.equal(offerOf(b, 'web1', 'a').knowsGuest, true);
    });
  }

  test('a curious host gets nothing from a seed of a tenant that does not own its guest', async (t) => {
    const [b] = [hostOf(t, 'b', 'tenant')];
    const image = path.join(b.stateDir, 'image');
    writeFileSync(image, pageOfStream(1));
    const sharing = { with: 'tenant', tenant: 'blue' } as const;
    const scope = new Scope(Buffer.from(SECRET, 'hex'), sharing);
    const seeded = await Store.open({ ...cacheOf(b, 'web1', 'tenant', 'a'), scope });
    await seeded.seed(image, new AbortController().signal);
    seeded.close();
    const known = async (guest: string): Promise<boolean> => {
      const { summary } = await reportedBy(t, cacheOf(b, guest, 'tenant', 'c'));
      return summary.has(scope.nameOf(pageOfStream(1)));
    };
    // b's own configuration says whose guest it is, not the peer.
    assert.equal(await known('web2'), true);
    assert.equal(await known('trojan'), false);
  });
});

test('a second guest of a tenant is spared the pages that the first one brought from the same host', async (t) => {
  const [a, b] = [hostOf(t, 'a', 'tenant'), hostOf(t, 'b', 'tenant')];
  const stream = longStream(PAGES);
  const of = (guest: string) =>
    [cacheOf(a, guest, 'tenant', 'b'), cacheOf(b, guest, 'tenant', 'a')] as const;
  const [nearFirst, farFirst] = of('web1');
  await move(t, nearFirst, farFirst, stream);
  const [near, far] = of('web2');
  const second = await move(t, near, far, stream);
  assert.equal(second.literal, 0);
  const back = await move(t, far, near, stream);
  assert.equal(back.literal, 0);
});
