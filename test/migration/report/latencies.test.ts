import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { requestsOf, timesOf } from '../../../src/migration/report/latencies.ts';
import { diskLatency } from '../../../src/protocol/disk.ts';

/** Boundaries of bins, ns, and requests that took so long. */
const given = fc.record({
  boundaries: fc
    .uniqueArray(fc.integer({ min: 1, max: 1e10 }), { minLength: 1, maxLength: 40 })
    .map((found) => found.toSorted((left, right) => left - right)),
  took: fc.array(fc.integer({ min: 0, max: 2e10 }), { minLength: 1, maxLength: 300 }),
});

/** As QEMU counts them: a request that took as long as a boundary is in the bin above. */
function counted(boundaries: readonly number[], took: readonly number[]) {
  const bins = Array.from({ length: boundaries.length + 1 }, () => 0);
  for (const each of took) {
    const above = boundaries.findIndex((boundary) => each < boundary);
    const at = above === -1 ? boundaries.length : above;
    bins[at] = (bins[at] ?? 0) + 1;
  }
  return { boundaries, bins };
}

function exact(took: readonly number[], share: number): number {
  const sorted = took.toSorted((left, right) => left - right);
  return sorted[Math.ceil(took.length * share) - 1] ?? assert.fail();
}

describe('latency percentiles', () => {
  test('percentiles are exact within their bin, and are marked if they may be longer', () => {
    fc.assert(
      fc.property(given, ({ boundaries, took }) => {
        const found = timesOf(counted(boundaries, took));
        assert.equal(found.count, took.length);
        const longest = boundaries.at(-1) ?? assert.fail();
        const percentiles = [
          [0.5, found.p50Ms],
          [0.99, found.p99Ms],
        ] as const;
        for (const [share, ms = assert.fail()] of percentiles) {
          const is = exact(took, share);
          const ns = boundaries.find((boundary) => boundary / 1e6 === ms) ?? assert.fail();
          if (is >= longest) assert.equal(ns, longest);
          else assert.ok(is < ns && !boundaries.some((each) => is < each && each < ns));
        }
        assert.equal(found.isLeast ?? false, exact(took, 0.99) >= longest);
        assert.ok((found.p50Ms ?? 0) <= (found.p99Ms ?? 0));
      }),
    );
  });

  test('percentiles never fall if a request takes longer', () => {
    fc.assert(
      fc.property(given, fc.nat(), fc.nat(1e10), ({ boundaries, took }, which, more) => {
        const at = which % took.length;
        const slower = took.map((each, index) => (index === at ? each + more : each));
        const [was, is] = [took, slower].map((each) => timesOf(counted(boundaries, each)));
        assert.ok((is?.p50Ms ?? 0) >= (was?.p50Ms ?? 0));
        assert.ok((is?.p99Ms ?? 0) >= (was?.p99Ms ?? 0));
      }),
    );
  });

  test('percentiles are absent without requests, and a kind that is not counted is absent', () => {
    const none = counted([1, 2], []);
    assert.deepEqual(timesOf(none), { count: 0 });
    const during = requestsOf({ writes: none }, 7);
    assert.deepEqual(during, { overMs: 7, writes: { count: 0 } });
    assert.deepEqual(diskLatency.parse({ node: 'a', during }), { node: 'a', during });
    assert.deepEqual(requestsOf({}, undefined), {});
  });
});
