import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  etaMs,
  isBlackout,
  percentOf,
  progressOf,
} from '../../../src/migration/report/progress.ts';
import {
  memorySample,
  progress,
  type MemorySample,
} from '../../../src/protocol/public/migration.ts';
import { chance, settle } from '../direct/drive.ts';
import { sampleOf } from '../direct/samples.ts';
import { World } from '../direct/world.ts';

const big = fc.oneof(fc.maxSafeNat(), fc.nat(1000));
const samples: fc.Arbitrary<MemorySample> = fc
  .record({
    totalBytes: big,
    remainingBytes: big,
    transferredBytes: big,
    rate: big,
    dirtyRate: big,
    round: fc.nat(100),
  })
  .map(sampleOf);

describe("the destination's share", () => {
  test("the destination's share is between 0 and 100, whatever the hypervisor reports", () => {
    fc.assert(
      fc.property(samples, (sample) => {
        const percent = percentOf(sample);
        assert.ok(percent >= 0 && percent <= 100, String(percent));
      }),
    );
  });

  test("the destination's share is 0 before anything is known, and 100 when nothing remains", () => {
    assert.equal(percentOf(undefined), 0);
    assert.equal(percentOf(sampleOf({ totalBytes: 0 })), 0);
    assert.equal(percentOf(sampleOf({ remainingBytes: 0 })), 100);
    assert.equal(percentOf(sampleOf({ totalBytes: 1000, remainingBytes: 250 })), 75);
  });
});

describe('the time left', () => {
  test('the time left is unknown if the guest dirties as fast as the link transfers', () => {
    fc.assert(
      fc.property(samples, (sample) => {
        if (sample.round > 1 && sample.dirtyRate >= sample.rate) {
          assert.equal(etaMs(sample, 'memory'), undefined);
        }
      }),
    );
    assert.equal(etaMs(sampleOf({ rate: 0 }), 'memory'), undefined);
  });

  test('the time left uses the net rate after the first round', () => {
    const sample = { remainingBytes: 900, rate: 100, dirtyRate: 10 };
    assert.equal(etaMs(sampleOf({ ...sample, round: 1 }), 'memory'), 9000);
    assert.equal(etaMs(sampleOf({ ...sample, round: 2 }), 'memory'), 10_000);
  });

  test('the time left in post-copy uses the whole rate: nothing is dirtied here any more', () => {
    const sample = { remainingBytes: 900, rate: 100, dirtyRate: 500, round: 4 };
    assert.equal(etaMs(sampleOf(sample), 'draining'), 9000);
  });

  test('a time left of more than a day is not shown', () => {
    const sample = sampleOf({ remainingBytes: 1 << 30, rate: 10, dirtyRate: 9, round: 3 });
    assert.equal(etaMs(sample, 'memory'), undefined);
  });
});

describe('a line of the live view', () => {
  test('a line of the live view keeps its contract in every state, with any sample', () => {
    fc.assert(
      fc.property(
        chance({ deaths: true, faults: true }),
        fc.option(samples, { nil: undefined }),
        ({ world }, sample) => {
          if (sample !== undefined) memorySample.parse(sample);
          const line = progressOf(world.state, sample, 5, 'waits');
          assert.deepEqual(progress.parse(line), line);
        },
      ),
    );
  });

  test('a line of a finished migration shows 100 percent and no time left', () => {
    const world = new World();
    settle(world);
    const line = progressOf(world.state, sampleOf(), 5);
    assert.equal(line.phase, 'done');
    assert.equal(line.percent, 100);
    assert.equal(line.etaMs, undefined);
  });

  test('a line has rates and a time left only while a stream flows, and no figures after a failure', () => {
    fc.assert(
      fc.property(chance({ deaths: true, faults: true }), samples, ({ world }, sample) => {
        const line = progressOf(world.state, sample, 5);
        const isFlowing = line.phase === 'memory' || line.phase === 'draining';
        if (!isFlowing) assert.ok((line.sample?.rate ?? 0) === 0 && line.sample?.dirtyRate !== 1);
        if (['undoing', 'failed', 'cancelled', 'held', 'lost'].includes(line.phase)) {
          assert.deepEqual([line.sample, line.etaMs], [undefined, undefined]);
        }
        const still = { since: '2026-01-01T00:00:00.000Z' };
        const cut = progressOf(world.state, sample, 5, undefined, still);
        assert.equal(cut.sample?.rate ?? 0, 0);
        if (cut.phase !== 'disks') assert.equal(cut.etaMs, undefined);
      }),
    );
  });

  test("a line uses the newest sample, or the journal's", () => {
    const world = new World();
    world.dispatch({ type: 'measured', sample: sampleOf({ round: 7 }), final: false });
    assert.equal(progressOf(world.state, undefined, 0).sample?.round, 7);
    assert.equal(progressOf(world.state, sampleOf({ round: 8 }), 0).sample?.round, 8);
  });
});

describe('the blackout', () => {
  const world = new World();
  const doing = (step: 'configure' | 'memory' | 'switchover' | 'commit' | 'verify' | 'retire') => {
    return { ...world.state, stopped: true, doing: { kind: 'do', step } } as const;
  };

  test("the blackout lasts from the guest's stop until the destination is seen to run it", () => {
    const steps = ['memory', 'switchover', 'commit', 'verify'] as const;
    for (const step of steps) assert.ok(isBlackout(doing(step)));
    assert.ok(!isBlackout({ ...doing('memory'), stopped: false }));
    assert.ok(!isBlackout(doing('retire')));
  });

  test('a guest that was found paused, or has come back, has no blackout', () => {
    assert.ok(!isBlackout(doing('configure')));
    assert.ok(
      !isBlackout({ ...world.state, stopped: true, doing: { kind: 'end', outcome: 'held' } }),
    );
  });
});
