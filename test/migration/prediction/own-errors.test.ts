import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { offOf, widened, widthsOf } from '../../../src/migration/prediction/own-errors.ts';
import { movesTo, type OwnMove } from '../../../src/migration/prediction/own-moves.ts';
import { LEVEL, MAX_LOOKED_AT } from '../../../src/migration/prediction/parameters.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { prediction as answer, predictionOff } from '../../../src/protocol/public/prediction.ts';
import { migrationSettings, type Report } from '../../../src/protocol/public/migration.ts';
import { report } from '../../cli/fake.ts';
import { anyFacts, guest } from './samples.ts';

const said = predict(guest(1));
const HOUR_MS = 3_600_000;

/** A move that came to so many times the middle of each range, after an hour of waiting for its moment. */
const came = (times: number, prediction = said, more: Partial<Report> = {}): Report =>
  report({
    prediction,
    totalMs: HOUR_MS + prediction.totalMs.middle * times,
    bytes: prediction.bytes.middle * times,
    downtimeMs: prediction.downtimeMs.middle * times,
    phases: [
      { phase: 'planned', ms: HOUR_MS },
      { phase: 'memory', ms: prediction.memoryMs.middle * times },
    ],
    ...more,
  });

describe('prediction errors', () => {
  test('the error of a move is 1 at either end of the range, 0 in its middle, and never negative', () => {
    const { low, middle, high } = said.totalMs;
    assert.equal(offOf(came(1)).totalMs, 0);
    for (const end of [low, high])
      assert.ok(Math.abs((offOf(came(end / middle)).totalMs ?? 9) - 1) < 1e-6);
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 100, noNaN: true }), (times) => {
        const off = offOf(came(times));
        assert.deepEqual(predictionOff.parse(off), off);
        for (const far of Object.values(off)) assert.ok((far ?? -1) >= 0 && (far ?? 9) <= 4);
      }),
    );
  });

  test("the error of a move is measured by the model's range, however much it was widened", () => {
    const widths = { totalMs: 0.5 };
    const narrow = { ...said, ...widened(said, widths, HOUR_MS), widths };
    const end = narrow.totalMs.high / narrow.totalMs.middle;
    assert.ok(Math.abs((offOf(came(end, narrow)).totalMs ?? 9) - 0.5) < 0.01);
  });

  test('the error is unknown for a move that was not predicted, was not sure to end, or did not end', () => {
    assert.deepEqual(offOf(report({ prediction: undefined })), {});
    const unsure = { ...said, converges: { ...said.converges, probability: 0.9 } };
    assert.deepEqual(offOf(came(1, unsure)), {});
    assert.deepEqual(offOf(came(1, said, { outcome: 'failed' })), {});
  });

  test('the error covers the bytes on the link, and the time with disk copies if they were predicted', () => {
    const wire = { linkBytes: said.bytes.middle } as Report['wire'];
    assert.equal(offOf(came(1, said, { bytes: said.bytes.middle * 20, wire })).bytes, 0);
    const phases: Report['phases'] = [
      { phase: 'planned', ms: HOUR_MS },
      { phase: 'disks', ms: HOUR_MS },
      { phase: 'memory', ms: said.memoryMs.middle },
    ];
    const copied = offOf(came(1, said, { phases }));
    assert.deepEqual([copied.totalMs, copied.memoryMs], [undefined, 0]);
    const ms = { low: 1000, middle: 2000, high: 4000 };
    const whole = { ...said, disks: { ms, bytes: ms } };
    assert.equal(offOf(came(1, whole, { phases })).totalMs, offOf(came(1)).totalMs);
    // No prediction knows how long backing files take.
    const seeded: Report['phases'] = [{ phase: 'seeding', ms: 1 }, ...phases];
    assert.equal(offOf(came(1, whole, { phases: seeded })).totalMs, undefined);
  });
});

const moved = (times: number): OwnMove => ({
  finished: 'precopy',
  byWire: true,
  several: false,
  maxDowntimeMs: 1,
  downtimeMs: 1,
  off: offOf(came(times)),
});

describe('ranges', () => {
  test("ranges are the model's if no move was predicted", () => {
    assert.deepEqual(widthsOf([]), {});
    assert.deepEqual(widthsOf([{}, { off: {} }]), {});
    const { totalMs } = widened(said, {}, HOUR_MS);
    assert.deepEqual(totalMs, said.totalMs);
    assert.equal(said.widths, undefined);
  });

  test('ranges narrow if all moves were near the middle, and widen if moves were outside', () => {
    const of = (times: number) =>
      predict({ ...guest(1), ownMoves: Array.from({ length: 9 }, () => moved(times)) });
    const [near, far] = [of(1.02), of(3)];
    const span = ({ low, high }: { low: number; high: number }) => high / low;
    for (const name of ['totalMs', 'memoryMs', 'bytes'] as const) {
      assert.ok(span(near[name]) < span(said[name]), name);
      assert.ok(span(far[name]) > span(said[name]), name);
      assert.equal(near[name].middle, said[name].middle);
      assert.ok((near.widths?.[name] ?? 1) < 1 && (far.widths?.[name] ?? 1) > 1);
    }
  });

  test('ranges are learned from the reports of moves to that host', () => {
    const settings = migrationSettings.parse({});
    const done = { outcome: 'done', finished: 'precopy', settings, to: 'b' } as const;
    const [move] = movesTo('b', [came(1.5, said, done)]);
    assert.ok((move?.off?.totalMs ?? 0) > 0);
  });

  test('ranges stay unchanged if the move is not sure to end', () => {
    const ownMoves = Array.from({ length: 9 }, () => moved(3));
    const unsure = { ...guest(600), ownMoves };
    assert.ok(predict(unsure).converges.probability < 0.95);
    assert.equal(predict(unsure).widths, undefined);
  });

  test('ranges hold about as many of the next moves as they claim, whatever the moves show', () => {
    // A generator of its own, so that the share is the same each time: minimal standard.
    let state = 7;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const normal = (): number =>
      Array.from({ length: 12 }, random).reduce((sum, each) => sum + each, -6);
    for (const spread of [0.3, 0.5, 0.8, 1.2]) {
      const off = (): number => Math.min(4, Math.abs(normal()) * spread);
      let held = 0;
      const runs = 4000;
      for (let run = 0; run < runs; run += 1) {
        const latest = Array.from({ length: MAX_LOOKED_AT }, () => ({ off: { totalMs: off() } }));
        if (off() <= (widthsOf(latest).totalMs ?? 1)) held += 1;
      }
      const share = held / runs;
      assert.ok(share > LEVEL - 0.12 && share < LEVEL + 0.12, `${spread}: ${share}`);
    }
  });

  test('ranges agree with each other and with the protocol, whatever the moves show', () => {
    const off = fc.record(
      Object.fromEntries(
        ['bytes', 'totalMs', 'memoryMs', 'downtimeMs'].map((name) => [
          name,
          fc.double({ min: 0, max: 4, noNaN: true }),
        ]),
      ),
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(anyFacts, fc.array(off, { maxLength: 12 }), (facts, offs) => {
        const ownMoves = offs.map((each) => ({ ...moved(1), off: each }));
        const found = predict({ ...facts, ownMoves });
        answer.parse(found);
        const { totalMs, memoryMs, clientGapMs } = found;
        assert.ok(memoryMs.low <= totalMs.low && memoryMs.high <= totalMs.high);
        for (const { low, middle, high } of [totalMs, memoryMs, clientGapMs, found.bytes])
          assert.ok(low <= middle && middle <= high);
        const model = predict({ ...facts, ownMoves: [] });
        assert.ok(totalMs.high <= Math.max(facts.settings.timeoutMs, model.totalMs.high));
        for (const name of ['bytes', 'totalMs', 'memoryMs', 'downtimeMs'] as const) {
          assert.equal(
            found[name].high > found[name].middle,
            model[name].high > model[name].middle,
          );
        }
      }),
    );
  });
});
