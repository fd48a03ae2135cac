import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  choosePath,
  PACKED_STREAM,
  SEVERAL_STREAMS,
  wireObstacle,
} from '../../../src/migration/prediction/data-path.ts';
import type { PathFacts } from '../../../src/migration/prediction/data-path.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';
import { WIRE_VERSION } from '../../../src/protocol/wire.ts';

const MBIT = 125_000;
const own = { cores: 2, knowsGuest: false };
const offer = { version: WIRE_VERSION, ...own };
const thin: PathFacts = {
  own,
  reachable: true,
  offer,
  memoryBytes: 1 << 30,
  linkBytesPerS: 100 * MBIT,
};

const ask = (given: object = {}) => migrationSettings.parse({ path: 'auto', ...given });

function pathOf(...args: Parameters<typeof choosePath>) {
  const choice = choosePath(...args);
  assert.ok(choice.takes !== 'neither');
  return choice;
}

describe('the data path of memory', () => {
  test('is native where nothing was asked for, whatever the link', () => {
    const settings = migrationSettings.parse({});
    assert.equal(choosePath(settings, thin).takes, 'native');
  });

  test('is the wire where it was asked for and both hosts have it', () => {
    const fat = { ...thin, linkBytesPerS: undefined };
    assert.equal(choosePath(ask({ path: 'wire' }), fat).takes, 'wire');
  });

  test('is neither where the wire was asked for and cannot be had, with the reason', () => {
    const choice = choosePath(ask({ path: 'wire' }), { ...thin, offer: undefined });
    assert.deepEqual(choice, {
      takes: 'neither',
      reason: 'the destination does not offer the wire',
    });
  });

  test('is the wire alone where the hosts reach each other through a relay', () => {
    for (const asked of ['native', 'wire', 'auto'] as const) {
      const choice = choosePath(ask({ path: asked }), { ...thin, byRelay: true });
      assert.equal(choice.takes, 'wire');
    }
    const facts = { ...thin, byRelay: true, offer: undefined };
    assert.equal(choosePath(ask({ path: 'native' }), facts).takes, 'neither');
    const several = ask({ path: 'native', streams: 4 });
    assert.equal(choosePath(several, { ...thin, byRelay: true }).takes, 'neither');
  });

  test('is predicted: by the wire on a thin link, native on a fat one', () => {
    assert.equal(choosePath(ask(), thin).takes, 'wire');
    assert.equal(choosePath(ask(), { ...thin, linkBytesPerS: 10_000 * MBIT }).takes, 'native');
  });

  test('goes by the cap where the link is fatter', () => {
    const fat = { ...thin, linkBytesPerS: undefined };
    assert.equal(choosePath(ask({ maxBandwidth: 100 * MBIT }), fat).takes, 'wire');
  });

  test('is native where nobody knows the link, and says so', () => {
    const choice = choosePath(ask(), { ...thin, linkBytesPerS: undefined });
    assert.deepEqual(choice, { takes: 'native', why: 'the rate of the link is not known' });
  });

  test('is the wire on a fatter link where both caches know the guest', () => {
    const link = { ...thin, linkBytesPerS: 450 * MBIT };
    assert.equal(choosePath(ask(), link).takes, 'native');
    const known = { own: { ...own, knowsGuest: true }, offer: { ...offer, knowsGuest: true } };
    assert.equal(choosePath(ask(), { ...link, ...known }).takes, 'wire');
    assert.equal(choosePath(ask(), { ...link, own: known.own }).takes, 'native');
  });

  test('is the hypervisor’s own compression between the two, and where the wire cannot be had', () => {
    const fat = { ...thin, linkBytesPerS: 1000 * MBIT };
    const packed = { takes: 'native', stream: PACKED_STREAM };
    const { why, ...choice } = pathOf(ask(), fat);
    assert.deepEqual(choice, packed);
    assert.match(
      why,
      /8\.6 s from hypervisor to hypervisor, .* with its zstd over 4 streams, .* wire$/,
    );
    const { why: other, ...without } = pathOf(ask(), { ...thin, offer: undefined });
    assert.deepEqual(without, packed);
    assert.match(other, /; not by the wire: the destination does not offer/);
  });

  test('is several plain streams on a fat link, which one thread does not fill', () => {
    for (const cores of [2, 16]) {
      const sides = { own: { ...own, cores }, offer: { ...offer, cores } };
      const fat = { ...thin, ...sides, linkBytesPerS: 10_000 * MBIT };
      const { why, ...choice } = pathOf(ask(), fat);
      assert.deepEqual(choice, { takes: 'native', stream: SEVERAL_STREAMS });
      assert.match(why, /3\.2 s from hypervisor to hypervisor, .* over 4 streams, /);
    }
  });

  test('is one plain stream in post-copy, which QEMU does not carry over several', () => {
    for (const mode of ['postcopy', 'hybrid'] as const) {
      for (const mbit of [1000, 10_000]) {
        const choice = pathOf(ask({ mode }), { ...thin, linkBytesPerS: mbit * MBIT });
        assert.deepEqual([choice.takes, 'stream' in choice], ['native', false]);
      }
    }
  });

  test('is native under auto with a stream that was asked for, as it was asked for', () => {
    for (const given of [{ streams: 4 }, { compress: 'zstd' }, { compress: 'xbzrle' }]) {
      const settings = ask(given);
      const choice = choosePath(settings, thin);
      assert.deepEqual(choice, { takes: 'native', why: wireObstacle(settings, thin) });
    }
    const newer = { ...offer, version: WIRE_VERSION + 1 };
    assert.match(wireObstacle(ask(), { ...thin, offer: newer }) ?? '', /version/);
    assert.match(wireObstacle(ask(), { ...thin, own: undefined }) ?? '', /this host/);
    assert.match(wireObstacle(ask(), { ...thin, reachable: false }) ?? '', /another user/);
  });

  test('never turns from the wire because the link is thinner', () => {
    const rate = fc.integer({ min: 1, max: 10_000 });
    fc.assert(
      fc.property(rate, rate, fc.boolean(), (one, other, knowsGuest) => {
        const sides = { own: { ...own, knowsGuest }, offer: { ...offer, knowsGuest } };
        const [thinner, fatter] = [Math.min(one, other), Math.max(one, other)].map(
          (mbit) => choosePath(ask(), { ...thin, ...sides, linkBytesPerS: mbit * MBIT }).takes,
        );
        assert.ok(!(fatter === 'wire' && thinner === 'native'));
      }),
    );
  });
});
