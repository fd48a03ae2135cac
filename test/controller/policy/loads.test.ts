import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HostLooks, LOOK_MS } from '../../../src/controller/inventory/guest-looks.ts';
import { foreignMoves, otherBalancerWords } from '../../../src/controller/policy/foreign-moves.ts';
import { NOW } from '../requests/worlds.ts';
import { loadsOf, lookAt } from './samples.ts';

const sample = (used: number, guests: Record<string, number>, atMs = LOOK_MS) => ({
  at: new Date(atMs).toISOString(),
  overMs: 10_000,
  processor: { cores: 16, used, steal: 0 },
  memory: { totalBytes: 1, availableBytes: 1, swapUsedBytes: 0 },
  network: { inBytesPerS: 0, outBytesPerS: 0 },
  disk: { readBytesPerS: 0, writeBytesPerS: 0 },
  guests: Object.entries(guests).map(([name, cores]) => ({ name, cores, residentBytes: 1 })),
});

describe('host looks', () => {
  test("a look has the mean of each guest's use while it was there, once its time is over", () => {
    const looks = new HostLooks();
    looks.add(LOOK_MS, sample(0.5, { g1: 1 }));
    looks.add(LOOK_MS + 10_000, sample(0.7, { g1: 3, g2: 2 }));
    assert.deepEqual(looks.unwritten(LOOK_MS + 20_000), []);
    const [first, ...others] = looks.unwritten(2 * LOOK_MS);
    assert.deepEqual(others, []);
    assert.deepEqual(first, {
      atMs: LOOK_MS,
      look: { used: 0.6, pressure: 0, cores: 16, guests: { g1: 2, g2: 2 } },
    });
  });

  test('a look counts no sample of a guest with impossible use, and keeps the report', () => {
    const looks = new HostLooks();
    const sizeOf = (): number => 2;
    looks.add(LOOK_MS, sample(0.5, { g1: 1, g2: 40 }), sizeOf);
    looks.add(LOOK_MS + 10_000, sample(0.5, { g1: 30, g2: 50 }), sizeOf);
    const [look] = looks.unwritten(2 * LOOK_MS);
    assert.deepEqual([look?.look.guests, look?.look.aside], [{ g1: 1 }, { g1: 30, g2: 50 }]);
  });

  test('a look has the clock offset of its host, from the fastest sample', () => {
    const offOf = (...ahead: readonly number[]): number | undefined => {
      const looks = new HostLooks();
      for (const [at, ms] of ahead.entries())
        looks.add(LOOK_MS + at * 10_000, sample(0.5, {}, LOOK_MS + at * 10_000 + ms));
      return looks.unwritten(2 * LOOK_MS)[0]?.look.clockAheadMs;
    };
    assert.equal(offOf(-90_000, -1000), undefined);
    assert.equal(offOf(59_000), undefined);
    assert.equal(offOf(3_600_000, 3_590_000), 3_590_000);
    assert.equal(offOf(-86_400_000), -86_400_000);
  });

  test('a look lasts as long as the policy sets', () => {
    const looks = new HostLooks(20_000);
    for (const atMs of [40_000, 50_000, 60_000]) looks.add(atMs, sample(0.5, { g1: 1 }));
    assert.deepEqual(
      looks.unwritten(79_999).map(({ atMs }) => atMs),
      [40_000],
    );
    assert.deepEqual(
      looks.unwritten(80_000).map(({ atMs }) => atMs),
      [40_000, 60_000],
    );
  });

  test('looks are bounded while they cannot be written', () => {
    const looks = new HostLooks();
    for (let at = 1; at < 100; at += 1) looks.add(at * LOOK_MS, sample(0.1, {}));
    assert.equal(looks.unwritten(100 * LOOK_MS).length, 12);
  });
});

describe("the fleet's use", () => {
  test("the fleet's use follows a guest over its hosts, the newest look first", () => {
    const loads = loadsOf([lookAt(0, { a: { g1: 1 }, b: {} }), lookAt(1, { a: {}, b: { g1: 2 } })]);
    assert.deepEqual(loads.guest('g1'), [2, 1]);
    assert.deepEqual(loads.guest('nobody'), []);
    assert.equal(loads.guestAt('g1', NOW), 1);
  });

  test('a guest that two hosts report within one look moves once', () => {
    const loads = loadsOf([
      lookAt(0, { a: { g1: 1 }, b: {} }),
      lookAt(1, { a: { g1: 1 }, b: { g1: 2 } }),
      lookAt(2, { a: {}, b: { g1: 2 } }),
    ]);
    assert.deepEqual(loads.guest('g1'), [2, 2, 1]);
    assert.deepEqual(
      loads.moves.map(({ guest, from, to }) => [guest, from, to]),
      [['g1', 'a', 'b']],
    );
  });
});

describe('another party', () => {
  const moves = loadsOf([
    lookAt(0, { a: { g1: 1, g2: 1 }, b: {} }),
    lookAt(1, { a: { g2: 1 }, b: { g1: 2 } }),
    lookAt(2, { a: {}, b: { g1: 1, g2: 1 } }),
  ]).moves;
  const everywhere = (): boolean => true;

  test("another party is detected by moves that Godwit did not make, and not by Godwit's own", () => {
    assert.match(
      otherBalancerWords(foreignMoves(moves, []), everywhere) ?? '',
      /2 moves within three hours/,
    );
    const own = { guest: 'g1', createdAtMs: NOW + LOOK_MS, endedAtMs: NOW + LOOK_MS + 5000 };
    assert.deepEqual(
      foreignMoves(moves, [own]).map(({ guest }) => guest),
      ['g2'],
    );
    assert.equal(otherBalancerWords(foreignMoves(moves, [own]), everywhere), undefined);
    const old = { guest: 'g1', createdAtMs: 1, endedAtMs: 2 };
    assert.equal(foreignMoves(moves, [old]).length, 2);
    assert.equal(
      otherBalancerWords(moves, (host) => host === 'c'),
      undefined,
    );
  });
});
