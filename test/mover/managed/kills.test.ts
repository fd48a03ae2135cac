import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { runTrial, type Outcome, type TrialOptions } from './trial.ts';

/** What holds however the manager behaves and whoever dies: at most one task, and a report that is true. */
function judge(found: Outcome, given: TrialOptions): void {
  const story = JSON.stringify({ given, found });
  assert.ok(found.tasks <= 1, `more than one task: ${story}`);
  assert.equal(found.report.outcome, found.outcome, story);
  const { runsAt } = found.report;
  const really = found.at === 'a' ? 'source' : 'destination';
  if (runsAt !== 'unknown') assert.equal(runsAt, really, `the report is wrong: ${story}`);
  if (found.outcome === 'done') assert.equal(found.tasks, 1, story);
  if (found.outcome === 'failed' || found.outcome === 'held') {
    assert.ok(found.report.error !== undefined, story);
  }
  judgeVolumes(found, given, story);
}

/** What was made for copies is there where the guest came, and is gone or reported where it stayed. */
function judgeVolumes(
  { volumes, outcome, at, report }: Outcome,
  { copied = [], others = [] }: TrialOptions,
  story: string,
): void {
  for (const file of others) assert.equal(volumes[`b:${file}`], 'somebody else', story);
  const mine = copied.filter((file) => volumes[`b:${file}`] === 'm-00000001');
  if (at === 'b') assert.deepEqual(mine, copied, story);
  if (outcome !== 'failed' && outcome !== 'cancelled') return;
  if ((report.leftovers ?? []).length === 0) assert.deepEqual(mine, [], story);
}

const RUDE = { lost: 0.1, unanswered: 0.1, late: 0.1, twice: 0.1, crash: 0.05, stale: 0.1 };

describe('deaths of a mover', () => {
  test("a mover's death at any point, with an honest manager, ends with one task and one guest", async () => {
    const whole = await runTrial({ seed: 1 });
    assert.equal(whole.outcome, 'done');
    assert.equal(whole.report.runsAt, 'destination');
    for (let at = 1; at <= whole.points; at += 1) {
      const given = { seed: 1, deaths: [at] };
      const found = await runTrial(given);
      judge(found, given);
      assert.equal(found.report.takeovers <= 1, true);
      // Dead between its record and its order, it has sent none, and nobody sends another.
      if (found.tasks === 1) assert.equal(found.outcome, 'done', JSON.stringify({ at, found }));
      else assert.equal(found.outcome, 'failed', JSON.stringify({ at, found }));
    }
  });

  test("a mover's death at any point leaves copied disks only on the guest's host", async () => {
    const given = { seed: 1, copied: ['/d/one', '/d/two'] };
    const stays = { ...given, taskEnds: 'failed' } as const;
    const refused = { ...given, others: ['/d/two'] };
    for (const [options, outcome] of [
      [given, 'done'],
      [stays, 'failed'],
      [refused, 'failed'],
    ] as const) {
      const whole = await runTrial(options);
      judge(whole, options);
      assert.equal(whole.outcome, outcome);
      assert.deepEqual(whole.report.leftovers, undefined);
      for (let at = 1; at <= whole.points; at += 1) {
        const dying = { ...options, deaths: [at] };
        const found = await runTrial(dying);
        judge(found, dying);
        assert.deepEqual(found.report.leftovers, undefined, JSON.stringify({ at, found }));
      }
    }
  });

  test("a mover's death at any point over the wire leaves no socket and never orders without one", async () => {
    const whole = await runTrial({ seed: 1, wire: 'open' });
    assert.equal(whole.outcome, 'done');
    assert.equal(whole.report.wire?.linkBytes, 40);
    for (let at = 1; at <= whole.points; at += 1) {
      const given = { seed: 1, deaths: [at], wire: 'open' } as const;
      const found = await runTrial(given);
      judge(found, given);
      assert.equal(found.sockets, 0, JSON.stringify({ at, found }));
    }
    const withDisk = await runTrial({ seed: 1, wire: 'open', copied: ['/i/x'] });
    assert.equal(withDisk.report.diskLink?.sentBytes, 7);
    const asked = withDisk.report.checks.find(({ name }) => name === 'path');
    assert.equal(asked?.evidence, 'b opens a receiver that takes disks');
    assert.equal(whole.report.diskLink, undefined);
    const stuck = { seed: 1, deaths: [8], wire: 'stuck' } as const;
    judge(await runTrial(stuck), stuck);
    const none = await runTrial({ seed: 1, wire: 'closed' });
    assert.deepEqual([none.outcome, none.tasks, none.sockets], ['failed', 0, 0]);
    assert.equal(none.report.error?.code, 'GODWIT_CAPABILITY');
    assert.ok(none.tookMs < 5000, 'its error cannot go away: it is not tried again');
  });

  test('two deaths of a mover at any points end with at most one task, and the report is true', async () => {
    for (let first = 1; first <= 30; first += 1) {
      for (let second = 1; second <= 12; second += 3) {
        const given = { seed: first * 100 + second, deaths: [first, second] };
        judge(await runTrial(given), given);
      }
    }
  });
});

describe('an unreliable manager', () => {
  test('an unreliable manager is given one order, and the report claims nothing false', async () => {
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          seed: fc.nat(),
          taskEnds: fc.constantFrom('done' as const, 'failed' as const),
          lagMs: fc.constantFrom(0, 3000),
          copied: fc.constantFrom([], ['/d/one', '/d/two']),
          others: fc.constantFrom([], ['/d/two']),
          deaths: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 3 }),
          cancelAfterMs: fc.option(fc.integer({ min: 0, max: 3000 }), { nil: undefined }),
        }),
        async ({ cancelAfterMs, ...rest }) => {
          const given: TrialOptions = {
            ...rest,
            behaves: RUDE,
            ...(cancelAfterMs === undefined ? {} : { cancelAfterMs }),
          };
          const found = await runTrial(given);
          outcomes.add(found.outcome);
          judge(found, given);
        },
      ),
      { numRuns: 300 },
    );
    for (const outcome of ['done', 'failed', 'cancelled'])
      assert.ok(outcomes.has(outcome), outcome);
  });

  test('an order that never reached its manager begins nothing, and the migration fails afterwards', async () => {
    const silent = { lost: 0.3, unanswered: 0, late: 0, twice: 0, crash: 0, stale: 0 };
    let unsent = 0;
    for (let seed = 1; seed <= 60; seed += 1) {
      const found = await runTrial({ seed, behaves: silent });
      judge(found, { seed, behaves: silent });
      const said = found.report.decisions.map(({ what }) => what);
      if (!said.some((what) => what.includes('did not answer the order'))) continue;
      unsent += 1;
      assert.equal(found.tasks, 0);
      assert.equal(found.outcome, 'failed');
      assert.equal(found.report.error?.code, 'GODWIT_TASK_FAILED');
      assert.ok(said.some((what) => what.includes('can begin nothing any more')));
    }
    assert.ok(unsent > 0, 'no order was lost');
  });
});
