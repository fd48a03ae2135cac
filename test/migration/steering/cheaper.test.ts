import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { costsOf, type Outlook } from '../../../src/migration/steering/cheaper.ts';
import { afterRound } from '../../../src/migration/steering/trace.ts';
import type { Writes } from '../../../src/migration/steering/write-rate.ts';
import type { CurvePoint } from '../../../src/protocol/public/prediction.ts';
import { STEERING_MEASURES, STRATEGIES } from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';
import { play, type Course } from './simulated.ts';

const MIB = 1024 ** 2;
const LINK = 10 * MIB;
const MEMORY = 256 * MIB;

function isPostcopyCheaper(outlook: Outlook): boolean {
  const costs = costsOf(outlook);
  return costs !== undefined && costs.nowMs < costs.laterMs;
}

/** A guest that goes through its set over and over, as a look at its pages sees that. */
function looked(setBytes: number, rate: number, lookedMs = 8000): Writes {
  const at = (windowMs: number): CurvePoint => {
    return { windowMs, dirtyBytes: Math.min(setBytes, (rate * windowMs) / 1000) };
  };
  const curve = [100, 300, 1000, 3000].map(at);
  return { pages: 1024, memoryBytes: MEMORY, curve, long: at(lookedMs), linkRate: LINK };
}

/** As a round begins in which so much is to be sent, of which a second's dirtying was so much. */
function asRoundBegins(round: number, remainingBytes: number, dirtyRate: number, writes?: Writes) {
  const sample = sampleOf({
    round,
    totalBytes: MEMORY,
    remainingBytes: Math.round(remainingBytes),
    rate: LINK,
    dirtyRate: Math.round(dirtyRate),
    totalMs: 25_600,
  });
  const trace = afterRound(undefined, sample);
  return isPostcopyCheaper({ sample, trace, writes, rate: LINK, downtimeMs: 100 });
}

/** In the first round, of which so much is over. */
function inFirstRound(share: number, writes: Writes | undefined, rate = LINK) {
  const sample = sampleOf({
    round: 1,
    totalBytes: MEMORY,
    remainingBytes: Math.round(MEMORY * (1 - share)),
    transferredBytes: Math.round(MEMORY * share),
    rate,
    totalMs: Math.round((share * MEMORY * 1000) / rate),
  });
  return isPostcopyCheaper({ sample, trace: undefined, writes, rate, downtimeMs: 100 });
}

describe('post-copy versus further rounds', () => {
  test('post-copy is cheaper if each further round leaves most of the previous remainder', () => {
    assert.equal(asRoundBegins(3, 50 * MIB, 0.8 * LINK), true);
    assert.equal(asRoundBegins(3, 50 * MIB, 0.3 * LINK), false);
    assert.equal(asRoundBegins(3, 50 * MIB, 3 * LINK), true);
  });

  test('post-copy is not cheaper if one more round is the last', () => {
    // It leaves half of what it sends, and that is sent while the guest stands still.
    assert.equal(asRoundBegins(3, 1.5 * MIB, 0.5 * LINK), false);
  });

  test('post-copy is cheaper by a page sample if the first round took too long to show it', () => {
    // 51 MiB within 25 s are 2 MiB/s, and it rewrites them within 6.4 s.
    const set = 51 * MIB;
    const dirtyRate = set / 25.6;
    assert.equal(asRoundBegins(2, set, dirtyRate), false);
    assert.equal(asRoundBegins(2, set, dirtyRate, looked(set, 0.8 * LINK)), true);
    assert.equal(asRoundBegins(2, set, dirtyRate, looked(set, 0.2 * LINK)), false);
  });

  test('post-copy is never cheaper for a guest that writes nothing, or on a link that carries nothing', () => {
    assert.equal(asRoundBegins(2, 0, 0), false);
    assert.equal(asRoundBegins(3, 50 * MIB, 0), false);
    assert.equal(inFirstRound(0.4, looked(128 * MIB, LINK), 0), false);
  });

  test('post-copy is cheaper exactly if it costs less than any number of further rounds, including none', () => {
    const rates = fc.double({ min: 0.01, max: 2, noNaN: true });
    const sizes = fc.integer({ min: 2, max: 200 });
    fc.assert(
      fc.property(rates, sizes, (share, mib) => {
        const bytes = mib * MIB;
        const left = Array.from({ length: 60 }, (_, round) => bytes * Math.min(1, share) ** round);
        const costs = left.slice(1).map((after, round) => {
          const sent = left.slice(0, round + 1).reduce((sum, each) => sum + each, 0);
          return sent + (after <= 0.1 * LINK ? after : after * 1.75);
        });
        const least = Math.min(...costs);
        // Where both come to nearly the same, rounding decides.
        fc.pre(Math.abs(least / bytes - 1.75) > 0.02);
        assert.equal(asRoundBegins(3, bytes, share * LINK), least > bytes * 1.75);
      }),
    );
  });
});

describe('post-copy in the first round', () => {
  test('post-copy is cheaper in the first round if a long sample shows that most memory will be dirty', () => {
    assert.equal(inFirstRound(0.35, looked(205 * MIB, LINK)), true);
    assert.equal(inFirstRound(0.35, looked(128 * MIB, 3 * LINK)), true);
    // It rewrites little, however fast.
    assert.equal(inFirstRound(0.35, looked(13 * MIB, 3 * LINK)), false);
    assert.equal(inFirstRound(0.35, looked(128 * MIB, 0.2 * LINK)), false);
  });

  test('post-copy is not cheaper before a quarter of the round was sampled, and never without a sample', () => {
    const { long: _, ...short } = looked(205 * MIB, LINK);
    assert.equal(inFirstRound(0.35, short), false);
    assert.equal(inFirstRound(0.35, looked(205 * MIB, LINK, 6000)), false);
    assert.equal(inFirstRound(0.35, undefined), false);
    assert.equal(inFirstRound(0, looked(205 * MIB, LINK)), false);
  });

  test('post-copy is not cheaper at the end of the round because of the zero pages that are left', () => {
    const writes = { ...looked(14 * MIB, LINK, 12_000), zeroShare: 0.1 };
    const sample = sampleOf({
      round: 1,
      totalBytes: MEMORY,
      remainingBytes: Math.round(MEMORY * 0.1),
      transferredBytes: Math.round(MEMORY * 0.9),
      rate: LINK,
      totalMs: 23_000,
    });
    const outlook = { sample, trace: undefined, writes, rate: LINK, downtimeMs: 100 };
    assert.equal(isPostcopyCheaper(outlook), false);
  });

  test('post-copy is not cheaper in a round that ends before a page sample', () => {
    assert.equal(inFirstRound(0.5, looked(205 * MIB, 100 * LINK), 10 * LINK), false);
  });
});

test('the must-finish strategy switches in the first round if the guest dirties most memory, else after it', () => {
  const course: Course = {
    memoryBytes: 1024 * MIB,
    workingSetBytes: 820 * MIB,
    dirtyRate: 3 * LINK,
    linkRate: LINK,
    maxDowntimeMs: 300,
    timeoutMs: 600_000,
    levers: STEERING_MEASURES,
  };
  const most = play(STRATEGIES['must-finish'], course);
  assert.deepEqual([most.ends, most.rounds], ['postcopy', 1]);
  assert.equal(most.decisions[0]?.rule, 'cheaper');
  assert.match(most.decisions[0]?.why ?? '', /post-copy costs .* now, and .* or more later$/);
  for (const strategy of ['standard', 'budget'] as const)
    assert.notEqual(play(STRATEGIES[strategy], course).rounds, 1);
  const little = play(STRATEGIES['must-finish'], { ...course, workingSetBytes: 50 * MIB });
  assert.equal(little.rounds, 2);
  // Each round leaves 0.8 of the one before: it would get there.
  const slowly = { ...course, dirtyRate: 0.8 * LINK, workingSetBytes: 300 * MIB };
  assert.equal(play(STRATEGIES['must-finish'], slowly).ends, 'postcopy');
  const soon = { ...slowly, dirtyRate: 0.3 * LINK };
  assert.equal(play(STRATEGIES['must-finish'], soon).ends, 'precopy');
});
