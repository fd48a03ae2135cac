import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { between, hitsOf } from '../../../src/migration/prediction/hits.ts';
import { loadOf } from '../../../src/migration/prediction/load.ts';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { predict } from '../../../src/migration/prediction/predict.ts';
import { NOMINAL, scenarios } from '../../../src/migration/prediction/scenarios.ts';
import { anyFacts, guest } from './samples.ts';

const MIX = { zero: 0.2, duplicate: 0, packed: 0.5 };
const ALL = 0.8;
const share = fc.double({ min: 0, max: 1, noNaN: true });
const pages = fc.integer({ min: 64, max: 4096 });
const cases = scenarios({ link: 0.1, dirty: 0.25, share: 0.08, processor: 0.3, fixed: 0.5 });

/** By the wire, the destination having told that it has so much of its memory. */
function having(facts: Facts, known: number, of = 1000): Facts {
  const { mix = MIX } = facts;
  return { ...facts, mix: { ...mix, known: { share: known, pages: of } } };
}

const thin = { rate: 12_500_000, how: 'measured' } as const;
const wire = { ...guest(0), mix: MIX, link: thin, memoryPath: 'cold' } as const;

describe("the destination's cache", () => {
  test('cache hits count only nonzero pages, and only on the wire', () => {
    const mix = { ...MIX, known: { share: 0.4, pages: 1000 } };
    for (const memoryPath of ['cold', 'known'] as const)
      assert.ok(Math.abs((hitsOf({ memoryPath, mix }, NOMINAL) ?? 0) - 0.5) < 1e-9);
    assert.equal(hitsOf({ memoryPath: 'packed', mix }, NOMINAL), undefined);
    assert.equal(hitsOf({ memoryPath: 'cold', mix: MIX }, NOMINAL), undefined);
    const zeros = { ...mix, zero: 1 };
    assert.equal(hitsOf({ memoryPath: 'cold', mix: zeros }, NOMINAL), 0);
  });

  test('the error of cache hits grows with a smaller sample, and never exceeds the total', () => {
    fc.assert(
      fc.property(share, pages, pages, (known, one, other) => {
        const [few, many] = [Math.min(one, other), Math.max(one, other)];
        const spread = (of: number): number => {
          const mix = { ...MIX, zero: 0, known: { share: known, pages: of } };
          const hits = cases.map((each) => hitsOf({ memoryPath: 'cold', mix }, each) ?? NaN);
          assert.ok(hits.every((each) => each >= 0 && each <= 1));
          return Math.max(...hits) - Math.min(...hits);
        };
        assert.ok(spread(many) <= spread(few) + 1e-12);
      }),
    );
    const mix = { ...MIX, zero: 0, known: { share: 0.5, pages: 400 } };
    const hits = cases.map((each) => hitsOf({ memoryPath: 'cold', mix }, each) ?? NaN);
    // One part in forty is the spread of 400 draws; nearly all lie within three of them.
    const within = hits.filter((each) => Math.abs(each - 0.5) <= 3 / 40);
    assert.ok(within.length >= hits.length * 0.98 && within.length > 0);
  });

  test('more cache hits never cause more bytes', () => {
    fc.assert(
      fc.property(anyFacts, share, share, pages, (facts, one, other, of) => {
        const { mix = MIX } = facts;
        const [less, more] = [Math.min(one, other), Math.max(one, other)];
        const bytes = (known: number) => {
          // Hints of free pages come the later, as pages go, the quicker these go.
          const all = { ...facts, mix, memoryPath: 'cold', hintedFreeBytes: undefined } as const;
          return cases.slice(0, 16).map((each) => loadOf(having(all, known, of), each));
        };
        const fewer = bytes(more);
        for (const [at, { passBytes, againBytesPerByte }] of bytes(less).entries()) {
          assert.ok((fewer[at]?.passBytes ?? NaN) <= passBytes * (1 + 1e-9) + 1);
          assert.ok((fewer[at]?.againBytesPerByte ?? NaN) <= againBytesPerByte * (1 + 1e-9));
        }
      }),
    );
  });

  test('cache hits send a quiet guest in fewer bytes, and replace the question whether its places are known', () => {
    const of = (known: number) => predict(having(wire, known)).bytes;
    const [none, half, all] = [of(0), of(ALL / 2), of(ALL)];
    assert.ok(all.middle < half.middle / 20 && half.middle < none.middle * 0.55);
    const { bytes: without } = predict(wire);
    assert.ok(Math.abs(none.middle / without.middle - 1) < 0.01);
    // A name of 16 bytes for each page, and a note for each of zeros.
    const least = wire.memoryBytes * ((0.8 * 16) / 4096 + (0.2 * 9) / 4096);
    assert.ok(Math.abs(all.middle - least) < 1000);
    assert.ok(all.high > all.middle * 1.01 && all.low <= all.middle);
    for (const known of [0, 0.3, ALL]) {
      const { costs: _, ...one } = predict(having({ ...wire, memoryPath: 'known' }, known));
      const { costs: __, ...other } = predict(having(wire, known));
      assert.deepEqual(one, other);
    }
  });

  test('cache hits cost processor time between an unknown guest and a known one', () => {
    const fat = { rate: 125_000_000_000, how: 'measured' } as const;
    const passMs = (facts: Facts) => loadOf({ ...facts, link: fat }, NOMINAL).passMs;
    const [cold, known] = [passMs(wire), passMs({ ...wire, memoryPath: 'known' })];
    const [least, most] = [Math.min(cold, known), Math.max(cold, known)];
    for (const each of [0, 0.1, 0.5, ALL]) {
      const ms = passMs(having(wire, each));
      assert.ok(ms >= least - 20 && ms <= most + 20, `${ms} of ${least} to ${most}`);
    }
    assert.equal(between(10, 8, 0.25), 9.5);
  });

  test('cache hits are not counted by other paths', () => {
    const plain = { ...wire, memoryPath: 'packed3' } as const;
    assert.deepEqual(predict(having(plain, ALL)), predict(plain));
  });
});
