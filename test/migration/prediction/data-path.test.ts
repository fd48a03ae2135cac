import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  decideDataPath,
  PACKED3_STREAM,
  PACKED_STREAM,
  SEVERAL_STREAMS,
  wireObstacle,
} from '../../../src/migration/prediction/data-path.ts';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import type { MemoryPath } from '../../../src/migration/prediction/parameters.ts';
import { expected } from '../../../src/migration/prediction/predict.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { WIRE_VERSION } from '../../../src/protocol/wire.ts';
import { ask, pathOf } from './paths.ts';
import { MBIT, MIX, offer, own, thin, anyFacts, guest, MIB } from './samples.ts';

describe('the data path of memory', () => {
  test('the data path is native if none was requested, whatever the link', () => {
    const settings = migrationSettings.parse({});
    assert.equal(decideDataPath(settings, thin).takes, 'native');
  });

  test('the data path is the wire if it was requested and both hosts have it', () => {
    const fat = { ...thin, linkBytesPerS: undefined };
    assert.equal(decideDataPath(ask({ path: 'wire' }), fat).takes, 'wire');
  });

  test('no data path is chosen if the wire was requested and is unavailable, and the reason is given', () => {
    const choice = decideDataPath(ask({ path: 'wire' }), { ...thin, offer: undefined });
    assert.deepEqual(choice, {
      takes: 'neither',
      reason: 'the destination does not offer the wire',
    });
  });

  test('the data path is only the wire if the hosts reach each other through a relay', () => {
    for (const asked of ['native', 'wire', 'auto'] as const) {
      const choice = decideDataPath(ask({ path: asked }), { ...thin, byRelay: true });
      assert.equal(choice.takes, 'wire');
    }
    const facts = { ...thin, byRelay: true, offer: undefined };
    assert.equal(decideDataPath(ask({ path: 'native' }), facts).takes, 'neither');
    const several = ask({ path: 'native', streams: 4 });
    assert.equal(decideDataPath(several, { ...thin, byRelay: true }).takes, 'neither');
  });

  test('the data path is the wire on a slow link for repeated pages, and native on a fast one', () => {
    const looked = { ...thin, measured: { curve: [], mix: { ...MIX, duplicate: 0.1 } } };
    assert.equal(decideDataPath(ask(), looked).takes, 'wire');
    assert.equal(
      decideDataPath(ask(), { ...looked, linkBytesPerS: 10_000 * MBIT }).takes,
      'native',
    );
  });

  test('the data path depends on the cap if the link is faster', () => {
    const fat = { ...thin, linkBytesPerS: undefined };
    const { stream } = pathOf(ask({ maxBandwidth: 100 * MBIT }), fat) as { stream?: object };
    assert.deepEqual(stream, PACKED3_STREAM);
  });

  test('the data path is native if the link is unknown, and the plan reports that', () => {
    const choice = decideDataPath(ask(), { ...thin, linkBytesPerS: undefined });
    assert.deepEqual(choice, { takes: 'native', why: 'the rate of the link is not known' });
  });

  test('the data path is the wire on a faster link if both caches have the guest', () => {
    const link = { ...thin, linkBytesPerS: 300 * MBIT };
    assert.equal(decideDataPath(ask(), link).takes, 'native');
    const known = { own: { ...own, knowsGuest: true }, offer: { ...offer, knowsGuest: true } };
    assert.equal(decideDataPath(ask(), { ...link, ...known }).takes, 'wire');
    assert.equal(decideDataPath(ask(), { ...link, own: known.own }).takes, 'native');
  });

  test("the data path is the wire on a faster link if the destination's cache has most sampled pages", () => {
    const of = (share: number, knowsGuest: boolean) => {
      const sides = { own: { ...own, knowsGuest }, offer: { ...offer, knowsGuest } };
      const measured = { curve: [], mix: { ...MIX, known: { share, pages: 1000 } } };
      return decideDataPath(ask(), { ...thin, ...sides, linkBytesPerS: 200 * MBIT, measured });
    };
    assert.equal(of(0.75, false).takes, 'wire');
    assert.match((of(0.75, false) as { why: string }).why, /whose cache there has 75 % of it$/);
    // What was seen of its pages counts, and not that it was there once.
    assert.equal(of(0.01, true).takes, 'native');
  });

  test("the data path is the hypervisor's compression in between, or if the wire is unavailable", () => {
    const fat = { ...thin, linkBytesPerS: 1000 * MBIT };
    const packed = { takes: 'native', stream: PACKED_STREAM };
    const packed3 = { takes: 'native', stream: PACKED3_STREAM };
    const { why, ...choice } = pathOf(ask(), fat);
    assert.deepEqual(choice, packed);
    assert.match(
      why,
      /8\.6 s and 1 GiB from hypervisor to hypervisor, .* with its zstd over 4 streams, .* wire$/,
    );
    const { why: other, ...without } = pathOf(ask(), { ...thin, offer: undefined });
    assert.deepEqual(without, packed3);
    assert.match(other, /; not by the wire: the destination does not offer/);
  });

  test('the data path is several plain streams on a fast link, which one thread does not fill', () => {
    const fat = { ...thin, linkBytesPerS: 10_000 * MBIT };
    const { why, ...choice } = pathOf(ask(), fat);
    assert.deepEqual(choice, { takes: 'native', stream: SEVERAL_STREAMS });
    assert.match(why, /3\.2 s and 1 GiB from hypervisor to hypervisor, .* over 4 streams, /);
  });

  test('the data path compresses on a fast link if processors are free: as soon, and fewer bytes', () => {
    const sides = { own: { ...own, cores: 16 }, offer: { ...offer, cores: 16 } };
    const { stream } = pathOf(ask(), { ...thin, ...sides, linkBytesPerS: 10_000 * MBIT }) as {
      readonly stream?: object;
    };
    assert.deepEqual(stream, PACKED_STREAM);
  });

  test('the data path is one plain stream in post-copy, since QEMU does not use several there', () => {
    for (const mode of ['postcopy', 'hybrid'] as const) {
      for (const mbit of [1000, 10_000]) {
        const choice = pathOf(ask({ mode }), { ...thin, linkBytesPerS: mbit * MBIT });
        assert.deepEqual([choice.takes, 'stream' in choice], ['native', false]);
      }
    }
  });

  test('the data path is native under auto if a stream was requested, in the requested form', () => {
    for (const given of [{ streams: 4 }, { compress: 'zstd' }, { compress: 'xbzrle' }]) {
      const settings = ask(given);
      const choice = decideDataPath(settings, thin);
      assert.deepEqual(choice, { takes: 'native', why: wireObstacle(settings, thin) });
    }
    const newer = { ...offer, version: WIRE_VERSION + 1 };
    assert.match(wireObstacle(ask(), { ...thin, offer: newer }) ?? '', /version/);
    assert.match(wireObstacle(ask(), { ...thin, own: undefined }) ?? '', /this host/);
    assert.match(wireObstacle(ask(), { ...thin, reachable: false }) ?? '', /another user/);
  });

  test('a slower link never turns the data path from the wire to one that sends more', () => {
    const rate = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(rate, rate, fc.boolean(), (one, other, knowsGuest) => {
        const sides = { own: { ...own, knowsGuest }, offer: { ...offer, knowsGuest } };
        const at = (mbit: number) =>
          decideDataPath(ask(), { ...thin, ...sides, linkBytesPerS: mbit * MBIT });
        if (at(Math.max(one, other)).takes !== 'wire') return;
        const thinner = at(Math.min(one, other));
        if (thinner.takes === 'wire') return;
        // A cold wire sends a little more than zstd 3, and takes less of the processors.
        assert.ok(!knowsGuest && thinner.takes === 'native' && thinner.stream?.compress === 'zstd');
      }),
      { examples: [[1, 260, false]] },
    );
  });
});

describe('the path that auto takes over a slow link', () => {
  const mbit = fc.constantFrom(40, 100);
  const sides = fc.record({
    hasWire: fc.boolean(),
    knowsGuest: fc.boolean(),
    cores: fc.integer({ min: 1, max: 32 }),
    load: fc.double({ min: 0, max: 40, noNaN: true }),
    mode: fc.constantFrom('precopy' as const, 'hybrid' as const, 'postcopy' as const),
  });
  type Sides = Parameters<Parameters<(typeof sides)['map']>[0]>[0];

  /** What a path comes to by the model, of that very guest. */
  function comesTo(memoryPath: MemoryPath, facts: Facts, { mode, cores, load }: Sides) {
    const settings = { ...facts.settings, mode, timeoutMs: Number.MAX_SAFE_INTEGER };
    const { rounds, totalMs } = expected({
      ...facts,
      processors: [{ cores, load }],
      memoryPath,
      settings,
    });
    return {
      memoryPath,
      totalMs: rounds.ends === 'never' ? Infinity : totalMs,
      memoryMs: rounds.ends === 'never' ? Infinity : rounds.memoryMs,
      bytes: rounds.bytes,
    };
  }

  function choiceOf(facts: Facts, { hasWire, knowsGuest, cores, load, mode }: Sides) {
    const host = { cores, load, knowsGuest };
    const { maxDowntimeMs, maxBandwidth, hybridRounds } = facts.settings;
    return pathOf(ask({ mode, maxDowntimeMs, maxBandwidth, hybridRounds }), {
      own: host,
      offer: hasWire ? { version: WIRE_VERSION, ...host } : undefined,
      reachable: true,
      memoryBytes: facts.memoryBytes,
      linkBytesPerS: facts.link?.rate,
      measured: facts,
    });
  }

  function chosen(facts: Facts, of: Sides): MemoryPath {
    const choice = choiceOf(facts, of);
    if (choice.takes === 'wire') return of.knowsGuest ? 'known' : 'cold';
    const { stream } = choice;
    if (stream === undefined) return 'plain';
    if (stream.compressLevel === 9) return 'packed9';
    if (stream.compressLevel === 3) return 'packed3';
    if (stream.compress === 'zstd') return 'packed';
    return stream.compress === 'xbzrle' ? 'xbzrle' : 'several';
  }

  function possible({ mode, hasWire, knowsGuest }: Sides, { mix }: Facts): MemoryPath[] {
    const wire: MemoryPath[] = hasWire ? [knowsGuest ? 'known' : 'cold'] : [];
    const levels: MemoryPath[] = mix === undefined ? ['packed3'] : ['packed3', 'packed9'];
    return mode === 'precopy'
      ? ['plain', 'several', 'packed', ...levels, ...wire]
      : ['plain', ...wire];
  }

  test('auto takes the path with the fewest bytes among those within 1.1 times the fastest', () => {
    let ended = 0;
    fc.assert(
      fc.property(anyFacts, mbit, sides, (any, rate, of) => {
        // The chosen path goes by what is said of the link, and by both hosts' processors.
        const facts = { ...any, link: { rate: rate * MBIT, how: 'configured' as const } };
        const all = possible(of, facts).map((memoryPath) => comesTo(memoryPath, facts, of));
        const soonest = Math.min(...all.map(({ memoryMs }) => memoryMs));
        if (!Number.isFinite(soonest)) return;
        ended += 1;
        const taken = comesTo(chosen(facts, of), facts, of);
        const most = soonest * 1.1;
        assert.ok(taken.memoryMs <= most, `${taken.memoryPath}: ${taken.memoryMs} of ${soonest}`);
        const near = all.filter(({ memoryMs }) => memoryMs <= most);
        const least = Math.min(...near.map(({ bytes }) => bytes));
        assert.ok(taken.bytes <= least * 1.05, `${taken.memoryPath}: ${taken.bytes} of ${least}`);
      }),
      { numRuns: 2000 },
    );
    assert.ok(ended > 500, String(ended));
  });

  test('auto chooses a path that ends if there is one', () => {
    // It rewrites more than the link takes, in pages that shrink a lot.
    const busy = { ...guest(20), link: { rate: 100 * MBIT, how: 'configured' as const } };
    const of = { hasWire: false, knowsGuest: false, cores: 4, load: 1, mode: 'precopy' as const };
    const small = { zero: 0.25, duplicate: 0, packed: 0.2, packedAgain: 0.05 };
    const facts = { ...busy, mix: small };
    assert.equal(comesTo('plain', facts, of).totalMs, Infinity);
    assert.match(chosen(facts, of), /^packed/);
  });

  test('auto never chooses XBZRLE, even if it is predicted fastest: its cache was never measured', () => {
    const random = { zero: 0, duplicate: 0, packed: 0.98, packedAgain: 0.98 };
    const curve = [{ windowMs: 1000, dirtyBytes: 9 * MIB }];
    const link = { rate: 100 * MBIT, how: 'configured' as const };
    const facts = { ...guest(0), mix: random, curve, link };
    const of = { hasWire: false, knowsGuest: false, cores: 4, load: 1, mode: 'precopy' as const };
    const taken = chosen(facts, of);
    assert.notEqual(taken, 'xbzrle');
    assert.ok(comesTo('xbzrle', facts, of).totalMs * 1.1 < comesTo(taken, facts, of).totalMs);
  });

  describe('paths that do not end', () => {
    const link = { rate: 40 * MBIT, how: 'configured' as const };
    const of = { hasWire: true, knowsGuest: false, cores: 4, load: 1, mode: 'precopy' as const };

    test('auto takes the path with the fastest pass over memory if none ends, and reports that', () => {
      const wild = { ...guest(3000), link };
      const { takes, why } = choiceOf(wild, of);
      assert.equal(takes, 'wire');
      assert.match(
        why,
        /no path is predicted to end; if the guest wrote nothing, memory would take 2 min 4. s and 769 MiB from hyp/,
      );
      const none = { ...wild, curve: [] };
      assert.equal(why.split('would take ')[1], choiceOf(none, of).why.split('to take ')[1]);
    });

    test('a path that does not end is reported without an end and without bytes', () => {
      const small = { zero: 0.25, duplicate: 0, packed: 0.2, packedAgain: 0.05 };
      const busy = { ...guest(20), mix: small, link: { ...link, rate: 100 * MBIT } };
      const { why } = choiceOf(busy, { ...of, hasWire: false });
      assert.match(
        why,
        /predicted to take no end from hypervisor to hypervisor, no end over 4 streams, .* and .* with its zstd/,
      );
      assert.doesNotMatch(why, /PiB|no end and/);
    });
  });
});
