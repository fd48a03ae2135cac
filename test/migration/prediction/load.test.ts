import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { dirtiedWithin } from '../../../src/migration/prediction/curve.ts';
import { loadOf, underWayMsOf } from '../../../src/migration/prediction/load.ts';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { NOMINAL } from '../../../src/migration/prediction/scenarios.ts';
import { guest, MIB, MEMORY_PATHS } from './samples.ts';
import { LONG_LOOK_SHARE } from '../../../src/migration/steering/first-round.ts';

describe('costs of memory on its path', () => {
  const quiet = guest(0);

  test('memory costs the link its nonzero bytes, and a note for each zero page', () => {
    const { passBytes, passMs } = loadOf(quiet, NOMINAL);
    const reported = 768 * MIB;
    assert.equal(passBytes, reported + (256 * MIB * 9) / 4096);
    assert.ok(passMs >= (reported / 125_000_000) * 1000);
  });

  test('memory costs processor time if the link is faster', () => {
    const link = { rate: 125_000_000_000, how: 'measured' } as const;
    const slow = loadOf({ ...quiet, link }, NOMINAL).passMs;
    assert.ok(slow > 2000, String(slow));
    assert.ok(loadOf({ ...quiet, link, memoryPath: 'several' }, NOMINAL).passMs < slow / 2);
  });

  test('memory takes longer than either if the link and the compressing processors wait for each other', () => {
    const passMsOf = (memoryPath: Facts['memoryPath'], more: Partial<Facts>) =>
      loadOf({ ...quiet, memoryPath, ...more }, NOMINAL).passMs;
    // Where each alone would take about as long.
    const paths = [
      ['packed', 300_000_000],
      ['cold', 40_000_000],
      ['plain', 60_000_000],
    ] as const;
    for (const [memoryPath, rate] of paths) {
      const measured = { rate, how: 'measured' } as const;
      const atLeast = { ...measured, isLeast: true };
      const capped = { ...quiet.settings, maxBandwidth: rate };
      const known = passMsOf(memoryPath, { link: measured });
      assert.equal(passMsOf(memoryPath, { link: atLeast, settings: capped }), known);
      const share = passMsOf(memoryPath, { link: atLeast }) / known;
      assert.ok(memoryPath === 'plain' ? share === 1 : share < 0.9, `${memoryPath}: ${share}`);
    }
  });

  const fat = { ...quiet, link: { rate: 125_000_000_000, how: 'measured' } as const };
  const passMs = (memoryPath: Facts['memoryPath'], ...processors: Facts['processors']) =>
    loadOf({ ...fat, memoryPath, processors }, NOMINAL).passMs;

  test('memory takes longer if other threads need the processors, and most if one thread does all the work', () => {
    // The guest's own thread is there already.
    for (const memoryPath of ['plain', 'packed', 'cold'] as const)
      assert.equal(passMs(memoryPath, { cores: 2, load: 1 }), passMs(memoryPath, { cores: 2 }));
    const times = (memoryPath: Facts['memoryPath']) =>
      passMs(memoryPath, { cores: 2, load: 8 }) / passMs(memoryPath, { cores: 2 });
    assert.ok(times('plain') > times('cold') && times('cold') > times('packed'));
    assert.ok(times('packed') > 1);
    // Whatever waits there for a disk: a path gets an eighth of what it would get alone.
    assert.ok(passMs('plain', { cores: 2, load: 1e6 }) <= 8 * passMs('plain', { cores: 2 }) + 1e-6);
  });

  test('memory takes as long as the host with less processor time needs, whichever that is', () => {
    const hosts = fc.record({
      cores: fc.integer({ min: 1, max: 128 }),
      load: fc.option(fc.double({ min: 0, max: 300, noNaN: true }), { nil: undefined }),
    });
    const memoryPaths = fc.constantFrom(...MEMORY_PATHS);
    fc.assert(
      fc.property(memoryPaths, hosts, hosts, (memoryPath, one, other) => {
        const slower = Math.max(passMs(memoryPath, one), passMs(memoryPath, other));
        assert.equal(passMs(memoryPath, one, other), slower);
        assert.equal(passMs(memoryPath, other, one), slower);
      }),
    );
  });

  test("memory costs include a mover's page check while the first round runs, if it makes one", () => {
    const writes = (more: Partial<Facts>) =>
      loadOf({ ...quiet, pages: 4096, ...more }, NOMINAL).writes;
    const { curve, memoryBytes, passMs } = loadOf(quiet, NOMINAL);
    const windowMs = passMs * LONG_LOOK_SHARE;
    const long = { windowMs, dirtyBytes: dirtiedWithin(curve, windowMs, memoryBytes) };
    assert.deepEqual(writes({}), {
      pages: 1024,
      memoryBytes,
      zeroShare: 0.25,
      curve,
      long,
      linkRate: 0,
    });
    assert.deepEqual(writes({ memoryPath: 'several', pages: 100 })?.pages, 100);
    for (const none of [
      { pages: 0 },
      { shape: 'managed' },
      { memoryPath: 'packed' },
      { memoryPath: 'cold' },
    ] as const)
      assert.equal(writes(none), undefined, JSON.stringify(none));
  });

  test('memory costs depend on the page sample if the path compresses, and on nothing else', () => {
    const packed = loadOf({ ...quiet, memoryPath: 'packed' }, NOMINAL).passBytes;
    const plain = loadOf(quiet, NOMINAL).passBytes;
    assert.ok(packed < plain * 0.6 && packed > plain * 0.3);
    const random = { zero: 0.25, duplicate: 0, packed: 1 };
    const whole = loadOf({ ...quiet, mix: random, memoryPath: 'packed' }, NOMINAL).passBytes;
    assert.ok(whole > plain * 0.9 && whole <= plain);
  });

  test('rewritten pages are sent again at their compressed size if the hypervisor compresses', () => {
    const mix = { zero: 0.25, duplicate: 0.1, packed: 0.4, packedAgain: 0.9 };
    const [packed, cold] = (['packed', 'cold'] as const).map((memoryPath) => {
      const [other, usual] = [mix, quiet.mix].map((each) =>
        loadOf({ ...quiet, mix: each, memoryPath }, NOMINAL),
      );
      assert.equal(other?.passBytes, usual?.passBytes);
      return [usual?.againBytesPerByte, other?.againBytesPerByte];
    });
    assert.ok(packed !== undefined && (packed[1] ?? 0) > (packed[0] ?? 1) * 2);
    assert.equal(cold?.[0], cold?.[1]);
  });

  test('hinted free pages are omitted in pre-copy only', () => {
    const link = { rate: 12_500_000, how: 'measured' } as const;
    const bytesIn = (mode: 'precopy' | 'hybrid' | 'postcopy', hintedFreeBytes?: number) => {
      const settings = { ...quiet.settings, mode };
      return loadOf({ ...quiet, link, hintedFreeBytes, settings }, NOMINAL).passBytes;
    };
    assert.ok(bytesIn('precopy', 512 * MIB) < bytesIn('precopy') - 180 * MIB);
    assert.equal(bytesIn('precopy', 0), bytesIn('precopy'));
    for (const mode of ['hybrid', 'postcopy'] as const)
      assert.equal(bytesIn(mode, 512 * MIB), bytesIn(mode));
  });

  test('memory keeps to a cap however fast the link may be', () => {
    const settings = { ...quiet.settings, maxBandwidth: 1_250_000 };
    const capped = loadOf({ ...quiet, settings }, { ...NOMINAL, link: 1.5 });
    assert.ok(capped.passMs >= (768 * MIB * 1000) / 1_250_000);
  });

  test('the downtime excludes bytes already under way, and the switch if a mover does it', () => {
    const of = (more: Partial<Facts>) => Math.round(underWayMsOf({ ...quiet, ...more }, NOMINAL));
    assert.deepEqual(
      [of({}), of({ memoryPath: 'packed' }), of({ memoryPath: 'cold' })],
      [52, 64, 60],
    );
    const { settings } = quiet;
    assert.equal(of({ settings: { ...settings, maxBandwidth: 100_000_000 } }), 40);
    assert.deepEqual([of({ shape: 'managed' }), of({ rounds: 'content' })], [0, 0]);
  });
});
