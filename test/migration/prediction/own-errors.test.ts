import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { offOf, widened, widthsOf } from '../../../src/migration/prediction/own-errors.ts';
import { LEVEL, MOST_LOOKED_AT } from '../../../src/migration/prediction/parameters.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { prediction as answer, predictionOff } from '../../../src/protocol/public/prediction.ts';
import { guest } from './samples.ts';

const said = predict(guest(1));
/** A move that came to so many times the middle of each range. */
const cameTo = (times: number, prediction = said) => ({
  prediction,
  totalMs: prediction.totalMs.middle * times,
  bytes: prediction.bytes.middle * times,
  downtimeMs: prediction.downtimeMs.middle * times,
  phases: [
    { phase: 'checking' as const, ms: 500 },
    { phase: 'memory' as const, ms: prediction.memoryMs.middle * times },
  ],
});

describe('how far a move came out from what was said', () => {
  test('is 1 at either end of the range, 0 in its middle, and never below', () => {
    const { low, middle, high } = said.totalMs;
    assert.equal(offOf(cameTo(1)).totalMs, 0);
    for (const end of [low, high])
      assert.ok(Math.abs((offOf(cameTo(end / middle)).totalMs ?? 9) - 1) < 1e-9);
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 100, noNaN: true }), (times) => {
        for (const off of Object.values(predictionOff.parse(offOf(cameTo(times)))))
          assert.ok((off ?? -1) >= 0 && (off ?? 9) <= 4);
      }),
    );
  });

  test('is counted by the range as the model alone has it, however wide it was made', () => {
    const widths = { totalMs: 0.5 };
    const narrow = { ...said, totalMs: widened(said.totalMs, 0.5), widths };
    const end = narrow.totalMs.high / narrow.totalMs.middle;
    assert.ok(Math.abs((offOf(cameTo(end, narrow)).totalMs ?? 9) - 0.5) < 0.01);
  });

  test('is not known of one that was not predicted, or was not sure to end', () => {
    const { prediction: _, ...unsaid } = cameTo(1);
    assert.deepEqual(offOf(unsaid), {});
    const unsure = { ...said, converges: { ...said.converges, probability: 0.9 } };
    assert.deepEqual(offOf(cameTo(1, unsure)), {});
  });
});

describe('ranges', () => {
  test('are as the model has them where no move was predicted', () => {
    assert.deepEqual(widthsOf([]), {});
    assert.deepEqual(widthsOf([{}, { off: {} }]), {});
    assert.deepEqual(widened(said.totalMs), said.totalMs);
    assert.equal(said.widths, undefined);
  });

  test('become narrower where all moves lay near the middle, and wider where they lay outside', () => {
    const of = (times: number) =>
      predict({ ...guest(1), ownMoves: Array.from({ length: 9 }, () => moved(times)) });
    const moved = (times: number) => ({
      finished: 'precopy' as const,
      byWire: true,
      several: false,
      maxDowntimeMs: 1,
      downtimeMs: 1,
      off: offOf(cameTo(times)),
    });
    const [near, far] = [of(1.02), of(3)];
    const span = ({ low, high }: { low: number; high: number }) => high / low;
    for (const name of ['totalMs', 'memoryMs', 'bytes'] as const) {
      assert.ok(span(near[name]) < span(said[name]), name);
      assert.ok(span(far[name]) > span(said[name]), name);
      assert.equal(near[name].middle, said[name].middle);
      assert.deepEqual([answer.parse(near), answer.parse(far)], [near, far]);
      assert.ok((near.widths?.[name] ?? 1) < 1 && (far.widths?.[name] ?? 1) > 1);
    }
  });

  test('hold about as many of the next moves as they claim, whatever moves come to', () => {
    // A generator of its own, so that the share is the same each time: minimal standard.
    let state = 7;
    const random = (): number => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const normal = (): number =>
      Array.from({ length: 12 }, random).reduce((sum, each) => sum + each, -6);
    for (const spread of [0.3, 0.5, 1, 2]) {
      const off = (): number => Math.min(4, Math.abs(normal()) * spread);
      let held = 0;
      const runs = 4000;
      for (let run = 0; run < runs; run += 1) {
        const latest = Array.from({ length: MOST_LOOKED_AT }, () => ({ off: { totalMs: off() } }));
        if (off() <= (widthsOf(latest).totalMs ?? 1)) held += 1;
      }
      const share = held / runs;
      assert.ok(share > LEVEL - 0.12 && share < LEVEL + 0.12, `${spread}: ${share}`);
    }
  });

  test('hold their middle, and are wider the larger the width', () => {
    const sizes = fc.double({ min: 1, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(
        sizes,
        sizes,
        sizes,
        fc.double({ min: 0.25, max: 4, noNaN: true }),
        (a, b, c, width) => {
          const [low = 0, middle = 0, high = 0] = [a, b, c].toSorted((left, right) => left - right);
          const { low: least, middle: same, high: most } = widened({ low, middle, high }, width);
          assert.ok(least <= middle && same === middle && most >= middle);
          if (width >= 1) assert.ok(least <= low + 1 && most >= high - 1);
          else assert.ok(least >= low - 1 && most <= high + 1);
        },
      ),
    );
  });
});
