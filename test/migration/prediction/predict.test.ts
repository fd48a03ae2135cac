import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { prediction, type Range } from '../../../src/protocol/public/prediction.ts';
import { factsOf, RECORDED } from './recorded.ts';
import { anyFacts, guest } from './samples.ts';

const RANGES = ['bytes', 'totalMs', 'memoryMs', 'rounds', 'downtimeMs', 'clientGapMs'] as const;
const more = fc.double({ min: 1, max: 20, noNaN: true });

/** Each edge and the middle of the one are no more than those of the other, but for a rounding. */
function assertNoMore(one: Range, other: Range, what: string): void {
  for (const edge of ['low', 'middle', 'high'] as const)
    assert.ok(
      one[edge] <= other[edge] * (1 + 1e-6) + 1,
      `${what}: ${edge} ${one[edge]} > ${other[edge]}`,
    );
}

const timesDirty = (facts: Facts, times: number): Facts => ({
  ...facts,
  curve: facts.curve.map((point) => ({ ...point, dirtyBytes: point.dirtyBytes * times })),
});
const timesLink = (facts: Facts, times: number): Facts => ({
  ...facts,
  ...(facts.link && { link: { ...facts.link, rate: facts.link.rate * times } }),
});

describe('a prediction', () => {
  test('a prediction has ranges that contain their middle, and is accepted by the protocol', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const found = predict(facts);
        for (const name of RANGES) {
          const { low, middle, high } = found[name];
          assert.ok(low <= middle && middle <= high, name);
        }
        prediction.parse(found);
      }),
    );
  });

  test('a prediction is never slower over a faster link, and never less likely to end', () => {
    fc.assert(
      fc.property(anyFacts, more, (facts, times) => {
        const [thin, fat] = [predict(facts), predict(timesLink(facts, times))];
        assertNoMore(fat.memoryMs, thin.memoryMs, 'memory');
        assertNoMore(fat.totalMs, thin.totalMs, 'total');
        assert.ok(fat.converges.probability >= thin.converges.probability);
      }),
    );
  });

  test('a prediction is never faster with more dirty pages, and never more likely to end', () => {
    fc.assert(
      fc.property(anyFacts, more, (facts, times) => {
        const [calm, busy] = [predict(facts), predict(timesDirty(facts, times))];
        assertNoMore(calm.memoryMs, busy.memoryMs, 'memory');
        assertNoMore(calm.totalMs, busy.totalMs, 'total');
        assert.ok(calm.converges.probability >= busy.converges.probability);
      }),
    );
  });

  test('a prediction is never faster if more threads need the processors', () => {
    fc.assert(
      fc.property(anyFacts, more, (facts, further) => {
        const busier = facts.processors.map(({ cores, load = 0 }) => {
          return { cores, load: load + further };
        });
        const [idle, busy] = [facts.processors, busier].map((processors) =>
          predict({ ...facts, processors }),
        );
        assertNoMore(idle!.memoryMs, busy!.memoryMs, 'memory');
        assertNoMore(idle!.totalMs, busy!.totalMs, 'total');
      }),
    );
  });

  test('a prediction never has fewer bytes for more memory, if both end', () => {
    fc.assert(
      fc.property(anyFacts, more, (facts, times) => {
        const settings = { ...facts.settings, timeoutMs: 86_400_000 };
        const small = { ...facts, settings };
        const large = { ...small, memoryBytes: Math.round(facts.memoryBytes * times) };
        const [one, other] = [predict(small), predict(large)];
        fc.pre(one.converges.probability === 1 && other.converges.probability === 1);
        assertNoMore(one.bytes, other.bytes, 'bytes');
        assertNoMore(one.memoryMs, other.memoryMs, 'memory');
      }),
    );
  });

  test('a prediction is never slower if the guest may be paused for longer', () => {
    fc.assert(
      fc.property(anyFacts, more, (facts, times) => {
        const maxDowntimeMs = facts.settings.maxDowntimeMs * times;
        const patient = { ...facts, settings: { ...facts.settings, maxDowntimeMs } };
        assertNoMore(predict(patient).memoryMs, predict(facts).memoryMs, 'memory');
      }),
    );
  });

  test('a prediction of post-copy always ends, for any guest over any link, if it can begin in time', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const settings = { ...facts.settings, mode: 'postcopy' as const };
        const long = { ...settings, timeoutMs: 600_000 };
        assert.equal(predict({ ...facts, settings: long }).converges.probability, 1);
        const { probability, why } = predict({
          ...facts,
          settings: { ...settings, timeoutMs: 1 },
        }).converges;
        assert.deepEqual([probability, /are allowed for all of it/.test(why)], [0, true]);
      }),
    );
  });

  test('a predicted downtime varies with the queue if the link, and not a cap, is the limit', () => {
    const span = (maxBandwidth?: number): number => {
      const facts = guest(1);
      const { low, high } = predict({
        ...facts,
        link: { rate: 12_500_000, how: 'measured', roundTripMs: 1 },
        settings: { ...facts.settings, ...(maxBandwidth === undefined ? {} : { maxBandwidth }) },
      }).downtimeMs;
      return high - low;
    };
    assert.ok(span() > 130, String(span()));
    assert.ok(span(9_000_000) < 100, String(span(9_000_000)));
  });

  test('a prediction of memory that cannot be sent in time reports the required and the available time', () => {
    const facts = guest(10);
    const settings = { ...facts.settings, timeoutMs: 2000 };
    const { probability, why } = predict({ ...facts, settings }).converges;
    assert.equal(probability, 0);
    assert.match(
      why,
      /^sending its memory once takes [\d.]+ s; of the 2\.0 s allowed, 500 ms remain for it$/,
    );
  });

  test('a prediction reports success, failure or an unknown result in between, with the reason', () => {
    const [calm, torn, wild] = [guest(10), guest(118), guest(600)].map(
      (facts) => predict(facts).converges,
    );
    assert.equal(calm?.probability, 1);
    assert.equal(wild?.probability, 0);
    const { probability = 0 } = torn ?? {};
    assert.ok(probability > 0.1 && probability < 0.9, String(probability));
    assert.match(calm?.why ?? '', /^a round of .* leaves .* written, which is sent within/);
    assert.match(wild?.why ?? '', /until the 10 min 00 s allowed are over$/);
  });

  test('a predicted downtime covers the cases that end, and is absent if none does', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { converges, downtimeMs, clientGapMs } = predict(facts);
        for (const { low, middle, high } of [downtimeMs, clientGapMs]) {
          assert.ok(low <= middle && middle <= high);
          if (converges.probability > 0) assert.ok(low > 0, JSON.stringify(downtimeMs));
          else assert.deepEqual([low, middle, high], [0, 0, 0]);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('a prediction is wider if less is known', () => {
    const facts = guest(10);
    const width = ({ bytes: { low, high } }: { bytes: Range }) => high - low;
    const unlooked = predict({ ...facts, memoryPath: 'packed', mix: undefined });
    assert.ok(width(unlooked) > width(predict({ ...facts, memoryPath: 'packed' })) * 2);
  });

  test('a predicted downtime is longer over a slower link, by the queue ahead of the last pages', () => {
    const downtime = (facts: Facts) => predict(facts).downtimeMs.middle;
    const idle = guest(0);
    const thin = timesLink(idle, 0.1);
    const longer = downtime(thin) - downtime(idle);
    assert.ok(longer > 80 && longer < 160, String(longer));
    // A hypervisor that keeps to a cap below the link queues nothing there, and the wire bounds what is under way.
    const capped = (facts: Facts): Facts => {
      return { ...facts, settings: { ...facts.settings, maxBandwidth: 5_000_000 } };
    };
    assert.equal(downtime(capped(thin)), downtime(capped(idle)));
    const byWire = (facts: Facts): Facts => ({ ...facts, memoryPath: 'cold' });
    assert.ok(downtime(byWire(thin)) - downtime(byWire(idle)) < 30);
  });

  test("the hypervisor's downtime excludes the later time that a client also waits", () => {
    const away = (mode: 'precopy' | 'postcopy', roundTripMs: number) => {
      const near = guest(0, { mode });
      return predict({ ...near, link: { ...near.link!, roundTripMs } });
    };
    const trips = (of: 'downtimeMs' | 'clientGapMs', mode: 'precopy' | 'postcopy') =>
      (away(mode, 101)[of].middle - away(mode, 1)[of].middle) / 100;
    assert.deepEqual([trips('downtimeMs', 'precopy'), trips('downtimeMs', 'postcopy')], [1, 0]);
    assert.deepEqual([trips('clientGapMs', 'precopy'), trips('clientGapMs', 'postcopy')], [3, 3]);
    // A manager leaves what is queued ahead of the devices' state; a mover lets most of it go over before the switch.
    const thin = timesLink(guest(400, { mode: 'hybrid', hybridRounds: 1 }), 0.1);
    const atOnce = timesLink(guest(0, { mode: 'postcopy' }), 0.1);
    for (const each of [predict({ ...thin, shape: 'managed' }), predict(atOnce)])
      assert.ok(each.downtimeMs.middle < 10 && each.clientGapMs.middle > 120);
    const byManager = predict({ ...thin, shape: 'managed' }).clientGapMs.middle;
    const sooner = byManager - predict(thin).clientGapMs.middle;
    assert.ok(sooner > 30 && sooner < 120, `${sooner}`);
  });

  test('a client waits in post-copy until the guest has fetched the pages for its answer', () => {
    const gap = (link: number, more: object) =>
      predict(timesLink(guest(0, { mode: 'postcopy', ...more }), link)).clientGapMs.middle;
    // 100 MiB over 1 Gbit/s, and over a tenth of that.
    assert.ok(gap(1, {}) > 700 && gap(1, {}) < 1300, `${gap(1, {})}`);
    assert.ok(gap(0.1, {}) > 7000 && gap(0.1, {}) < 13_000, `${gap(0.1, {})}`);
    const { clientGapMs, totalMs } = predict(guest(0, { mode: 'postcopy' }));
    assert.ok(clientGapMs.middle < totalMs.middle);
    // By pre-copy all of it is there.
    assert.ok(predict(guest(0)).clientGapMs.middle < 300);
  });

  test('a prediction is close to measured moves on a quiet machine, over each link', () => {
    const median = (values: readonly number[]): number =>
      values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? 0;
    for (const link of [100, 400, 1000]) {
      const moves = RECORDED.filter((each) => each.link === link);
      const said = moves.map((each) => predict(factsOf(each)));
      const error = (name: 'totalMs' | 'bytes' | 'downtimeMs'): number =>
        median(said.map((each, at) => Math.abs(each[name].middle / (moves[at]?.[name] ?? 0) - 1)));
      assert.ok(error('totalMs') < 0.12, `${link} Mbit/s: total ${error('totalMs')}`);
      assert.ok(error('bytes') < 0.05, `${link} Mbit/s: bytes ${error('bytes')}`);
      assert.ok(error('downtimeMs') < 0.3, `${link} Mbit/s: downtime ${error('downtimeMs')}`);
    }
  });
});
