import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  expectedLatencies,
  type LatencyFacts,
} from '../../../src/migration/prediction/disk-latency.ts';
import type { DiskLatency, RequestTimes } from '../../../src/protocol/disk.ts';

const KINDS = ['reads', 'writes', 'flushes'] as const;
const PERCENTILES = ['p50Ms', 'p99Ms'] as const;
/** What rounding may come to, of the longest time here. */
const HAIR = 1 + 1e-9;

const times = fc
  .record({
    count: fc.integer({ min: 1, max: 500 }),
    p50Ms: fc.double({ min: 0.004, max: 1000, noNaN: true }),
    more: fc.double({ min: 1, max: 100, noNaN: true }),
  })
  .map(({ count, p50Ms, more }): RequestTimes => ({ count, p50Ms, p99Ms: p50Ms * more }));
const requests = fc.record({ reads: times, writes: times, flushes: times });
const disk: fc.Arbitrary<DiskLatency> = fc.record({
  node: fc.constant('disk0'),
  before: requests,
  during: requests,
});
const facts: fc.Arbitrary<LatencyFacts> = fc.record({
  link: fc.record({
    rate: fc.integer({ min: 1000, max: 1e10 }),
    roundTripMs: fc.double({ min: 0, max: 500, noNaN: true }),
  }),
  maxBandwidth: fc.option(fc.integer({ min: 1024, max: 1e9 }), { nil: undefined }),
  own: fc.array(disk, { maxLength: 12 }),
});

function rangesOf(of: DiskLatency, given: LatencyFacts) {
  const [found = assert.fail()] = expectedLatencies([of], given);
  return KINDS.flatMap((kind) => PERCENTILES.map((at) => ({ kind, at, range: found[kind][at] })));
}

describe('disk latency during a copy', () => {
  test('the predicted disk latency is a range around its middle if enough requests were counted', () => {
    fc.assert(
      fc.property(disk, facts, (of, given) => {
        for (const { kind, at, range } of rangesOf(of, given)) {
          const { count = 0 } = of.before?.[kind] ?? {};
          assert.equal(range !== undefined, count >= (at === 'p50Ms' ? 20 : 100));
          if (range === undefined) continue;
          assert.ok(range.low > 0 && range.low <= range.middle && range.middle <= range.high);
        }
      }),
    );
  });

  test('the predicted disk latency never falls with a slower or longer link, and only writes wait for it', () => {
    fc.assert(
      fc.property(disk, facts, fc.nat(500), (of, given, more) => {
        const { rate = 0, roundTripMs = 0 } = given.link ?? {};
        const link = { rate: Math.ceil(rate / 2), roundTripMs: roundTripMs + more };
        const [was, is] = [rangesOf(of, given), rangesOf(of, { ...given, link })];
        for (const [index, { kind, range }] of was.entries()) {
          const slower = is[index]?.range;
          if (kind !== 'writes') assert.deepEqual(slower, range);
          if (range === undefined || slower === undefined) continue;
          assert.ok(slower.middle * HAIR >= range.middle && slower.high * HAIR >= range.high);
        }
      }),
    );
  });

  test('the predicted disk latency grows as in earlier migrations of this host, weighted by their number', () => {
    const one = { count: 100, p50Ms: 1, p99Ms: 1 };
    const moved: DiskLatency = {
      node: 'other',
      before: { reads: one },
      during: { reads: { ...one, p50Ms: 4, p99Ms: 40 } },
    };
    const middles = [0, 1, 3].map((moves) => {
      const own = Array.from({ length: moves }, () => moved);
      const given = { link: undefined, maxBandwidth: undefined, own };
      const [found] = expectedLatencies([{ node: 'disk0', before: { reads: one } }], given);
      return [found?.reads.p50Ms?.middle, found?.reads.p99Ms?.middle];
    });
    // By half with one, by three quarters with three, and never by more than eight times.
    const of = (factor: number) => [4 ** factor, 8 ** factor];
    for (const [index, factor] of [0, 0.5, 0.75].entries()) {
      for (const [at, wanted] of of(factor).entries())
        assert.ok(Math.abs((middles[index]?.[at] ?? 0) - wanted) < 1e-9);
    }
  });

  test('the disk latency is not predicted if requests exceed the counted range, or were never counted', () => {
    const reads = { count: 1000, p50Ms: 1, p99Ms: 34_000, isLeast: true as const };
    const given = { link: undefined, maxBandwidth: undefined, own: [] };
    const [found] = expectedLatencies([{ node: 'a', before: { reads } }, { node: 'b' }], given);
    assert.deepEqual(found, { node: 'a', now: { reads }, reads: {}, writes: {}, flushes: {} });
  });
});
