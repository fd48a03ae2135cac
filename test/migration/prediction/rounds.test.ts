import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { loadOf } from '../../../src/migration/prediction/load.ts';
import type { Facts } from '../../../src/migration/prediction/facts.ts';
import { simulate, type Rounds } from '../../../src/migration/prediction/rounds.ts';
import { NOMINAL } from '../../../src/migration/prediction/scenarios.ts';
import { anyFacts, guest, MIB } from './samples.ts';

const TAIL = 0.5;

function roundsOf(facts: Facts): Rounds {
  return simulate(loadOf(facts, NOMINAL), facts.settings, TAIL);
}

describe('the rounds of a migration', () => {
  test('a guest that writes nothing takes one pass, and is paused for no more than requested', () => {
    const { ends, rounds, bytes, finalMs } = roundsOf(guest(0));
    assert.deepEqual([ends, rounds], ['precopy', 1]);
    assert.equal(bytes, loadOf(guest(0), NOMINAL).passBytes);
    assert.ok(finalMs <= 100);
  });

  test("the rounds of a migration grow with the guest's writes, until they never end", () => {
    const some = roundsOf(guest(8));
    const more = roundsOf(guest(90));
    const most = roundsOf(guest(400));
    assert.deepEqual([some.ends, more.ends, most.ends], ['precopy', 'precopy', 'never']);
    assert.ok(some.rounds < more.rounds && some.bytes < more.bytes);
    assert.equal(most.memoryMs, guest(0).settings.timeoutMs);
  });

  test('rounds end in some of many cases if the middle one is a little too long, and never if it is far too long', () => {
    // The link takes 119 MiB/s: sent again it takes 40 ms and some, where QEMU ends below 40.
    const hot = (mib: number) => [
      { windowMs: 10, dirtyBytes: mib * MIB },
      { windowMs: 4000, dirtyBytes: mib * MIB },
    ];
    const of = (mib: number) => roundsOf({ ...guest(0), curve: hot(mib) });
    const [fits, near, further, far] = [of(4), of(8), of(16), of(64)];
    assert.deepEqual(
      [fits.ends, near.ends, further.ends, far.ends],
      ['precopy', 'precopy', 'precopy', 'never'],
    );
    assert.equal(fits.rounds, 1);
    assert.ok(near.rounds > 1 && near.rounds < 6, String(near.rounds));
    assert.ok(
      further.rounds > near.rounds * 3 && further.bytes > near.bytes,
      String(further.rounds),
    );
  });

  test('rounds end at a small working set that is written fast, although a single rate would predict no end', () => {
    const facts = guest(0);
    const hot = [
      { windowMs: 10, dirtyBytes: 2 * MIB },
      { windowMs: 4000, dirtyBytes: 2 * MIB },
    ];
    assert.ok((2 * MIB) / 0.01 > facts.link!.rate);
    assert.equal(roundsOf({ ...facts, curve: hot }).ends, 'precopy');
  });

  test('hybrid does the given number of rounds, and the rest follows by post-copy', () => {
    const { ends, rounds } = roundsOf(guest(400, { mode: 'hybrid' }));
    assert.equal(ends, 'postcopy');
    assert.ok(rounds <= 3);
    assert.equal(roundsOf(guest(0, { mode: 'hybrid' })).ends, 'precopy');
  });

  test('rounds of post-copy always end', () => {
    fc.assert(
      fc.property(
        anyFacts,
        fc.constantFrom('postcopy' as const, 'hybrid' as const),
        (facts, mode) => {
          const settings = { ...facts.settings, mode, timeoutMs: Number.MAX_SAFE_INTEGER };
          assert.notEqual(roundsOf({ ...facts, settings }).ends, 'never');
        },
      ),
    );
  });

  test('rounds never leave the guest paused for longer than requested', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        assert.ok(roundsOf(facts).finalMs <= facts.settings.maxDowntimeMs * (1 + 1e-9));
      }),
    );
  });

  test('rounds are bounded, and neither bytes nor time are negative or unbounded', () => {
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const { bytes, memoryMs, rounds } = roundsOf(facts);
        for (const each of [bytes, memoryMs, rounds])
          assert.ok(Number.isFinite(each) && each >= 0, String(each));
      }),
    );
  });
});
