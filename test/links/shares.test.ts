import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sharesOf, type Claim } from '../../src/links/shares.ts';

const claims: fc.Arbitrary<Claim[]> = fc
  .array(
    fc.record({
      bytesPerS: fc.nat(2e9),
      isHeldBack: fc.boolean(),
      mostBytesPerS: fc.option(fc.integer({ min: 1, max: 2e9 }), { nil: undefined }),
    }),
    { maxLength: 12 },
  )
  .map((all) => all.map((each, at) => ({ ...each, id: String(at) })));
const budget = fc.integer({ min: 1, max: 1e9 });

test("the shares never exceed the budget, and no session's share exceeds its cap", () => {
  fc.assert(
    fc.property(budget, claims, (bytesPerS, all) => {
      const shares = sharesOf(bytesPerS, all);
      const sum = [...shares.values()].reduce((left, right) => left + right, 0);
      assert.equal(shares.size, all.length);
      assert.ok(sum <= bytesPerS * 1.000001);
      for (const { id, mostBytesPerS = Infinity } of all) {
        const share = shares.get(id) ?? -1;
        assert.ok(share >= 0 && share <= mostBytesPerS * 1.000001);
      }
      const canTake = all.reduce((left, { mostBytesPerS = Infinity }) => left + mostBytesPerS, 0);
      assert.ok(
        sum >= Math.min(bytesPerS, canTake) * 0.999999,
        'nothing is left that somebody could use',
      );
    }),
  );
});

test('a session that is limited has an equal share, or its cap', () => {
  fc.assert(
    fc.property(budget, claims, (bytesPerS, all) => {
      const shares = sharesOf(bytesPerS, all);
      for (const { id, isHeldBack, mostBytesPerS = Infinity } of all) {
        if (!isHeldBack) continue;
        const fair = Math.min(bytesPerS / all.length, mostBytesPerS);
        assert.ok((shares.get(id) ?? 0) >= fair * 0.999999);
      }
    }),
  );
});

test('every session calculates the same shares, in whatever order it reads the claims', () => {
  fc.assert(
    fc.property(budget, claims, (bytesPerS, all) => {
      const [one, other] = [sharesOf(bytesPerS, all), sharesOf(bytesPerS, all.toReversed())];
      for (const { id } of all) assert.equal(one.get(id), other.get(id));
    }),
  );
});

test('a session that sends little leaves the rest of its share to others', () => {
  const claim = (id: string, bytesPerS: number, isHeldBack: boolean): Claim => ({
    id,
    bytesPerS,
    isHeldBack,
    mostBytesPerS: undefined,
  });
  const shares = sharesOf(100, [claim('a', 50, true), claim('b', 10, false), claim('c', 30, true)]);
  assert.deepEqual(
    shares,
    new Map([
      ['b', 15],
      ['a', 42.5],
      ['c', 42.5],
    ]),
  );
  assert.deepEqual(sharesOf(100, [claim('a', 0, false)]), new Map([['a', 100]]));
});
