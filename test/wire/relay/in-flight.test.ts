import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  AWAITED,
  limitsOf,
  MAX_LINK,
  SOON,
  soonOr,
  StreamMeter,
} from '../../../src/wire/relay/in-flight.ts';

const KIB = 1024;
const rate = fc.double({ min: 0, max: 12.5e9, noNaN: true });
const roundTrip = fc.double({ min: 0, max: 5000, noNaN: true });

describe('bytes in flight', () => {
  test('the bytes in flight are 1.25 times a round trip and 20 ms, in the second round and endless rounds', () => {
    for (const round of [2, 9, 100]) {
      const limits = limitsOf({ bytesPerS: 12.5e6, roundTripMs: 10 }, 40e6, round);
      assert.equal(limits.linkBytes, 1.25 * 12.5e6 * 0.03);
      assert.equal(limits.streamBytes, 1.25 * 40e6 * 0.03);
    }
  });

  test("the bytes in flight in an early round never exceed the previous round's", () => {
    fc.assert(
      fc.property(
        rate,
        rate,
        roundTrip,
        fc.integer({ min: 1, max: 7 }),
        (link, stream, ms, round) => {
          const measure = { bytesPerS: link, roundTripMs: ms };
          const [before, after] = [round, round + 1].map((each) => limitsOf(measure, stream, each));
          assert.ok(before !== undefined && after !== undefined);
          assert.ok(after.linkBytes <= before.linkBytes);
          assert.ok(after.streamBytes <= before.streamBytes);
        },
      ),
    );
  });

  test('the bytes in flight are fewest if the guest waits for pages', () => {
    fc.assert(
      fc.property(rate, rate, roundTrip, fc.nat(9), (link, stream, ms, round) => {
        const measure = { bytesPerS: link, roundTripMs: ms };
        const awaited = limitsOf(measure, stream, AWAITED);
        const other = limitsOf(measure, stream, Math.max(1, round));
        assert.ok(awaited.linkBytes <= other.linkBytes);
        assert.ok(awaited.streamBytes <= other.streamBytes);
      }),
    );
  });

  test('the bytes in flight are few in the first round before post-copy, but no fewer than in post-copy', () => {
    const idle = limitsOf({ bytesPerS: 0, roundTripMs: 0 }, 0, SOON);
    assert.deepEqual([idle.linkBytes, idle.streamBytes], [1024 * KIB, 1024 * KIB]);
    fc.assert(
      fc.property(rate, rate, roundTrip, (link, stream, ms) => {
        const [awaited, soon, first] = [AWAITED, SOON, 1].map((round) =>
          limitsOf({ bytesPerS: link, roundTripMs: ms }, stream, round),
        );
        assert.ok(awaited !== undefined && soon !== undefined && first !== undefined);
        for (const each of ['linkBytes', 'streamBytes'] as const)
          assert.ok(awaited[each] <= soon[each] && soon[each] <= first[each], each);
      }),
    );
    for (const round of [AWAITED, 1, 2, 9]) {
      assert.equal(soonOr(round, false), round);
      assert.equal(soonOr(round, true), round === 1 ? SOON : round);
    }
  });

  test("the bytes in flight keep codec and link busy, and never exceed the far side's room", () => {
    fc.assert(
      fc.property(rate, rate, roundTrip, fc.nat(9), (bytesPerS, stream, ms, round) => {
        const limits = limitsOf({ bytesPerS, roundTripMs: ms }, stream, round);
        assert.ok(limits.linkBytes >= 128 * KIB && limits.linkBytes <= MAX_LINK);
        assert.ok(limits.streamBytes >= 512 * KIB && limits.streamBytes <= 256 * KIB * KIB);
      }),
    );
  });

  test('the bytes in flight fill 1 Gbit/s over 150 ms', () => {
    const limits = limitsOf({ bytesPerS: 125e6, roundTripMs: 150 }, 125e6, 2);
    assert.ok(limits.linkBytes > 125e6 * 0.15);
  });
});

describe('the meter of the stream', () => {
  test("the stream's meter counts bytes that were read but not accepted", () => {
    const meter = new StreamMeter();
    meter.read(1000);
    assert.ok(meter.taken(400, 0));
    assert.equal(meter.underWay, 600);
  });

  test("the stream's meter refuses an impossible acknowledgment", () => {
    const meter = new StreamMeter();
    meter.read(1000);
    assert.ok(meter.taken(400, 0));
    assert.ok(!meter.taken(399, 1));
    assert.ok(!meter.taken(1001, 1));
    assert.equal(meter.underWay, 600);
  });

  test("the stream's meter keeps the best recent rate, not the rate of a pause", () => {
    const meter = new StreamMeter();
    meter.read(100e6);
    meter.taken(0, 0);
    meter.taken(10e6, 100);
    meter.taken(10.1e6, 1000);
    assert.equal(meter.bytesPerS, 100e6);
    for (let at = 1; at <= 40; at += 1) meter.taken(10.1e6 + at * 1000, 1000 + at * 50);
    assert.equal(meter.bytesPerS, 20_000);
  });
});
