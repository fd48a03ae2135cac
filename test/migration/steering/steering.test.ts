import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { holdsSwitchover, steer } from '../../../src/migration/steering/steering.ts';
import type { Decision } from '../../../src/migration/steering/decision.ts';
import { strategyOf } from '../../../src/migration/steering/strategies.ts';
import { afterMeasure, afterRound } from '../../../src/migration/steering/trace.ts';
import type { MemorySample, Mode } from '../../../src/protocol/public/migration.ts';
import {
  STRATEGIES,
  STRATEGY_NAMES,
  steeringStrategy,
  type SteeringMeasure,
} from '../../../src/protocol/public/steering.ts';
import { sampleOf } from '../direct/samples.ts';
import {
  courses,
  LINK,
  play,
  samples,
  sinceStall,
  swinging,
  swings,
  type Course,
} from './simulated.ts';

const MiB = 1024 * 1024;
const ALL: readonly SteeringMeasure[] = ['downtime', 'throttle', 'postcopy'];

/** What its mode alone comes to. */
function ofMode(mode: Mode, sample: MemorySample): Decision | undefined {
  const settings = { mode, hybridRounds: 3, maxDowntimeMs: 100 };
  const trace = afterRound(undefined, sample);
  const levers: SteeringMeasure[] = mode === 'precopy' ? ['downtime'] : ['downtime', 'postcopy'];
  return steer(strategyOf(settings), { sample, trace, levers, settings, leftMs: 600_000 });
}

test('the switch is held for post-copy, and in every mode for a guest with disks', () => {
  const disks = [{ name: 'disk0', images: [] }];
  assert.equal(holdsSwitchover({ mode: 'precopy' }), false);
  assert.equal(holdsSwitchover({ mode: 'precopy' }, { description: { disks: [] } }), false);
  assert.equal(holdsSwitchover({ mode: 'precopy' }, { description: { disks } }), true);
  for (const mode of ['postcopy', 'hybrid'] as const) assert.ok(holdsSwitchover({ mode }));
});

test('pre-copy without a strategy never decides anything', () => {
  fc.assert(fc.property(samples, (sample) => assert.equal(ofMode('precopy', sample), undefined)));
});

test('post-copy begins at once, as soon as the stream is there', () => {
  assert.equal(ofMode('postcopy', sampleOf({ totalBytes: 0 })), undefined);
  fc.assert(
    fc.property(samples, (sample) => {
      if (sample.totalBytes > 0) assert.equal(ofMode('postcopy', sample)?.what, 'postcopy');
    }),
  );
});

describe('hybrid', () => {
  const fast = { rate: 100 * MiB, dirtyRate: 10 * MiB, expectedDowntimeMs: 5000 };
  const stuck = { ...fast, totalMs: 10_000, transferredBytes: 900 * MiB, dirtyRate: 95 * MiB };

  test('hybrid gives pre-copy its rounds while they help', () => {
    for (const round of [0, 1, 2, 3])
      assert.equal(ofMode('hybrid', sampleOf({ ...fast, round })), undefined);
  });

  test('hybrid always switches after its rounds', () => {
    assert.equal(
      ofMode('hybrid', sampleOf({ ...fast, round: 4 }))?.why,
      '3 rounds of pre-copy are over',
    );
    fc.assert(
      fc.property(samples, (sample) => {
        if (sample.round > 3 && sample.totalBytes > 0)
          assert.equal(ofMode('hybrid', sample)?.what, 'postcopy');
      }),
    );
  });

  test('hybrid switches earlier if another round achieves almost nothing, and reports the figures', () => {
    const decision = ofMode('hybrid', sampleOf({ ...stuck, round: 2 }));
    assert.equal(decision?.rule, 'outpaced');
    assert.match(decision?.why ?? '', /95 MiB\/s.*100 MiB\/s/);
  });

  test('hybrid does not switch for a single look at the link during a short stall', () => {
    const halted = { ...stuck, rate: 10 * MiB, dirtyRate: 50 * MiB, round: 2 };
    assert.equal(ofMode('hybrid', sampleOf(halted)), undefined);
  });

  test('hybrid waits for the first dirty rate, even if the downtime is short enough already', () => {
    assert.equal(ofMode('hybrid', sampleOf({ ...stuck, round: 1 })), undefined);
    for (const known of [{ expectedDowntimeMs: 80 }, { rate: 0 }])
      assert.equal(ofMode('hybrid', sampleOf({ ...stuck, round: 2, ...known })), undefined);
  });
});

const GRID: readonly Course[] = [0.2, 0.5, 0.8, 1, 1.5, 3].flatMap((dirty) =>
  [0.05, 0.2, 0.5, 0.8].map((set) => ({
    memoryBytes: 1024 * MiB,
    workingSetBytes: set * 1024 * MiB,
    dirtyRate: dirty * LINK,
    linkRate: LINK,
    maxDowntimeMs: 300,
    timeoutMs: 120_000,
    levers: ALL,
  })),
);

describe('gentle', () => {
  test('gentle gives up within three rounds without a new minimum, and never runs to its timeout', () => {
    const ends = GRID.map((course) => play(STRATEGIES.gentle, course));
    assert.ok(ends.some((each) => each.ends === 'given-up'));
    assert.ok(ends.some((each) => each.ends === 'precopy'));
    for (const { ends: end, remaining } of ends) {
      assert.ok(end === 'precopy' || end === 'given-up', end);
      assert.ok(sinceStall(remaining) <= 3, `${sinceStall(remaining)} rounds`);
    }
  });

  test('gentle changes nothing else in any guest, always ends by itself, and names two remedies with figures', () => {
    fc.assert(
      fc.property(courses, swings, (course, list) => {
        const patient = { ...course, timeoutMs: Number.MAX_SAFE_INTEGER };
        const { ends, decisions, remaining } = play(STRATEGIES.gentle, patient, swinging(list));
        assert.ok(decisions.every(({ what }) => what === 'give-up'));
        assert.match(ends, /^(precopy|given-up)$/);
        assert.ok(sinceStall(remaining) <= 3);
        for (const { hint = '', why } of decisions) {
          assert.match(hint, /^Use .+ or .+\.$/);
          assert.match(why, /never less than/);
        }
      }),
    );
  });

  test('gentle does not wait forever if the downtime is missed by less than a figure shows', () => {
    const most = { memoryBytes: 1 << 30, timeoutMs: 548_202, maxDowntimeMs: 30, levers: [] };
    const rates = { dirtyRate: 419_411_524, linkRate: 232_897_374, workingSetBytes: 7_441_311 };
    assert.equal(
      play(STRATEGIES.gentle, { ...most, ...rates }, () => 0.9920932422761217).ends,
      'given-up',
    );
  });

  test('gentle does not mistake an oscillating remainder for a falling one', () => {
    const course = { ...GRID[0], dirtyRate: LINK, workingSetBytes: 200 * MiB } as Course;
    const { ends, rounds } = play(STRATEGIES.gentle, course, (round) => (round % 2 === 0 ? 2 : 1));
    assert.equal(ends, 'given-up');
    assert.ok(rounds < 12, `${rounds} rounds`);
  });
});

describe('every strategy', () => {
  test('every strategy keeps within the requested downtime, and uses only the levers that it has', () => {
    fc.assert(
      fc.property(fc.constantFrom(...STRATEGY_NAMES), courses, swings, (name, course, list) => {
        const strategy = STRATEGIES[name];
        const { decisions } = play(strategy, course, swinging(list));
        for (const { what, change, why } of decisions) {
          assert.ok(why.length <= 1024);
          if (what !== 'give-up') assert.ok(course.levers.includes(what), what);
          if (what !== 'give-up') assert.ok(strategy.measures.includes(what), what);
          if (what === 'downtime')
            assert.ok(change !== undefined && change.to <= course.maxDowntimeMs);
          if (what === 'downtime' && change !== undefined) assert.ok(change.to > change.from);
        }
        const rounds = decisions.map(({ inputs }) => inputs.round);
        assert.equal(new Set(rounds).size, rounds.length, 'one decision a round');
      }),
    );
  });

  test('every strategy gives up only once no measure is left, however impatient it is', () => {
    const steps = { downtimeShares: [0.25, 0.5, 1], throttlePercents: [20, 40, 80] };
    const impatient = fc.record({
      measures: fc.shuffledSubarray([...ALL]),
      stalledRounds: fc.integer({ min: 1, max: 5 }),
      giveUpRounds: fc.integer({ min: 1, max: 3 }),
    });
    const share = fc.double({ min: 0.7, max: 4, noNaN: true });
    let givenUp = 0;
    fc.assert(
      fc.property(impatient, courses, swings, share, (own, any, list, times) => {
        const strategy = steeringStrategy.parse({ name: 'own', ...steps, ...own });
        const course = {
          ...any,
          workingSetBytes: any.memoryBytes,
          dirtyRate: times * any.linkRate,
        };
        const played = play(strategy, course, swinging(list));
        if (played.ends !== 'given-up') return;
        givenUp += 1;
        const left = strategy.measures.filter((measure) => course.levers.includes(measure));
        assert.ok(!left.includes('postcopy'));
        if (left.includes('throttle')) assert.equal(played.throttlePercent, 80);
        const longest = played.decisions.findLast(({ what }) => what === 'downtime');
        if (left.includes('downtime')) assert.equal(longest?.change?.to, course.maxDowntimeMs);
      }),
    );
    assert.ok(givenUp > 0);
  });

  test('the same view gives the same decision, and a mover that takes over needs only the trace', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...STRATEGY_NAMES),
        samples,
        fc.nat(5),
        (name, sample, stalls) => {
          const trace = { ...afterRound(undefined, sample), stalledRounds: stalls };
          const settings = { mode: 'hybrid', maxDowntimeMs: 300 } as const;
          const view = { sample, trace, levers: ALL, settings, leftMs: 60_000 };
          const first = steer(STRATEGIES[name], view);
          assert.deepEqual(steer(STRATEGIES[name], structuredClone(view)), first);
          if (first?.change === undefined) return;
          const after = afterMeasure(trace, first.why, first.change);
          assert.equal(steer(STRATEGIES[name], { ...view, trace: after })?.change, undefined);
        },
      ),
    );
  });
});

test('the must-finish strategy moves every guest of the grid, even if its remainder oscillates', () => {
  for (const course of GRID)
    assert.match(play(STRATEGIES['must-finish'], course).ends, /^(precopy|postcopy)$/);
  fc.assert(
    fc.property(courses, swings, (course, list) => {
      const patient = { ...course, levers: ALL, timeoutMs: 3_600_000 };
      const { ends } = play(STRATEGIES['must-finish'], patient, swinging(list));
      assert.match(ends, /^(precopy|postcopy)$/);
    }),
  );
});

test('standard raises a downtime that may suffice first, and switches to post-copy otherwise', () => {
  const ends = GRID.map((course) => play(STRATEGIES.standard, course));
  const seen = new Set<string>();
  for (const { ends: end, decisions } of ends) {
    assert.match(end, /^(precopy|postcopy)$/);
    const [first] = decisions;
    if (first !== undefined) seen.add(`${first.what}, ${end}`);
    if (end !== 'postcopy' || first === undefined) continue;
    const isNear = first.inputs.expectedDowntimeMs <= 600;
    assert.equal(first.what, isNear ? 'downtime' : 'postcopy');
  }
  assert.ok(seen.has('downtime, precopy') && seen.has('postcopy, postcopy'), [...seen].join('; '));
});

test('a longer downtime that is out of reach is still raised if no other measure is left', () => {
  const strategy = { ...STRATEGIES.standard, measures: ['downtime' as const] };
  const course = { ...GRID[0], dirtyRate: 3 * LINK, workingSetBytes: 512 * MiB } as Course;
  const { decisions } = play(strategy, course);
  assert.equal(decisions.map(({ what }) => what).join(), 'downtime,give-up');
});

test('post-copy starts right after the first round for a guest that was found to outpace the link', () => {
  const course = { ...GRID[0], dirtyRate: 3 * LINK, workingSetBytes: 200 * MiB } as Course;
  const known = play(STRATEGIES['must-finish'], course);
  const nothing = { pages: 0, memoryBytes: course.memoryBytes, curve: [], linkRate: 0 };
  const unknown = play(STRATEGIES['must-finish'], course, undefined, nothing);
  assert.deepEqual([known.ends, known.rounds], ['postcopy', 2]);
  assert.deepEqual([unknown.ends, unknown.rounds], ['postcopy', 3]);
  const [decision] = known.decisions;
  assert.equal(decision?.rule, 'outpaced');
  assert.ok((decision?.inputs.dirtyRate ?? 0) < LINK * 0.9, 'the rounds alone do not say it yet');
  assert.match(decision?.why ?? '', /it writes \d+ MiB\/s in a short time/);
});

test('no-postcopy throttles a guest that would not converge, and no more than necessary', () => {
  const course = { ...GRID[0], dirtyRate: 1.5 * LINK, workingSetBytes: 512 * MiB } as Course;
  const slowed = play(STRATEGIES['no-postcopy'], course);
  assert.equal(slowed.ends, 'precopy');
  assert.ok(slowed.decisions.some(({ what }) => what === 'throttle'));
  const gentle = { ...course, dirtyRate: 0.3 * LINK };
  assert.ok(
    play(STRATEGIES['no-postcopy'], gentle).decisions.every(({ what }) => what !== 'throttle'),
  );
});

test('a guest that is quiet again regains its speed', () => {
  const sample = sampleOf({ round: 9, rate: LINK, dirtyRate: 10 * MiB, remainingBytes: 100 * MiB });
  const before = afterMeasure(afterRound(undefined, { ...sample, round: 7 }), 'so', {
    of: 'throttlePercent',
    from: 0,
    to: 60,
  });
  const trace = afterRound(before, sample);
  const settings = { mode: 'precopy', maxDowntimeMs: 100 } as const;
  const view = { sample, trace, levers: ALL, settings, leftMs: 60_000 };
  const decision = steer(STRATEGIES['no-postcopy'], view);
  assert.equal(decision?.rule, 'quiet');
  assert.deepEqual(decision?.change, { of: 'throttlePercent', from: 60, to: 0 });
});

test('post-copy sends the rest while there is still time for it', () => {
  const rates = { transferredBytes: 0, rate: MiB, dirtyRate: 0 };
  const sample = sampleOf({ ...rates, round: 2, remainingBytes: 30 * MiB });
  const trace = afterRound(undefined, sample);
  const settings = { mode: 'hybrid', maxDowntimeMs: 100 } as const;
  const view = { sample, trace, levers: ALL, settings };
  assert.equal(steer(STRATEGIES.budget, { ...view, leftMs: 300_000 }), undefined);
  assert.equal(steer(STRATEGIES.budget, { ...view, leftMs: 49_000 })?.rule, 'time-left');
  const precopy = { ...view, settings: { ...settings, mode: 'precopy' as const } };
  assert.equal(steer(STRATEGIES.budget, { ...precopy, leftMs: 49_000 }), undefined);
});
