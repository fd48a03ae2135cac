import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { bestSchedule, triesFor, type Schedule } from '../../src/planner/schedule.ts';
import { problemOf, secondsOf, type Links, type Transfer } from '../../src/planner/timetable.ts';

const links = (more: Partial<Links> = {}): Links => ({
  bytesPerSecond: () => 100,
  parallel: 4,
  out: 4,
  in: 4,
  ...more,
});

const transfer = (memoryBytes: number, more: Partial<Transfer> = {}): Transfer => ({
  from: 'a',
  to: 'b',
  memoryBytes,
  dirtyBytesPerSecond: 0,
  ...more,
});

const best = (all: readonly Transfer[], limits = links()): Schedule =>
  bestSchedule(problemOf(all, limits));

test('guests that write move one at a time over a link, and the next one prepares meanwhile', () => {
  const all = [1, 2, 3].map(() => transfer(10_000, { dirtyBytesPerSecond: 40 }));
  const { seconds, pace } = best(all);
  assert.ok(pace.fill <= 2);
  assert.ok(seconds < 3 * (10_000 / 60) + 2 * 3, 'no fixed time is waited for twice');
});

test('slow destinations are used side by side', () => {
  const bytesPerSecond = (host: string): number => (host === 'a' ? 100 : 25);
  const all = ['b', 'c', 'd', 'e'].map((to) => transfer(1000, { to }));
  assert.equal(best(all, links({ bytesPerSecond })).seconds, 43);
});

test('a move to another host runs in parallel if the link is only nominally full', () => {
  const all = ['b', 'c', 'd', 'b', 'c', 'd'].map((to) =>
    transfer(2000, { to, dirtyBytesPerSecond: 2 }),
  );
  const problem = problemOf(all, links());
  const { order, pace } = bestSchedule(problem);
  const carries = problem.names.map((name) => (name === 'a, out' ? 110 : 100));
  const really = (...of: [readonly number[], Schedule['pace']]): number =>
    secondsOf(problem, ...of, {}, { link: 1, dirty: 1, fixed: 1, carries });
  assert.ok(really(order, pace) < 0.95 * really([...all.keys()], { fill: 1, ahead: 2.5 }));
});

const transfers = fc.array(
  fc.record({
    from: fc.constantFrom('a', 'b'),
    to: fc.constantFrom('c', 'd', 'e'),
    memoryBytes: fc.integer({ min: 1, max: 2000 }),
    dirtyBytesPerSecond: fc.integer({ min: 0, max: 60 }),
  }),
  { minLength: 1, maxLength: 5 },
);
const bytesPerSecond = (host: string): number => (host === 'c' ? 40 : 100);

test('a small schedule is within ten percent of the best of all orders at all caps', () => {
  fc.assert(
    fc.property(transfers, (all) => {
      const limits = links({ bytesPerSecond, out: 2, in: 2 });
      let least = Infinity;
      for (const parallel of [1, 2, 3, 4]) {
        const problem = problemOf(all, { ...limits, parallel });
        for (const order of orders([...all.keys()])) {
          least = Math.min(least, secondsOf(problem, order, { fill: Infinity, ahead: 0 }));
        }
      }
      assert.ok(best(all, limits).seconds <= least * 1.1);
    }),
    { numRuns: 30 },
  );
});

test('a schedule has each transfer once, and takes no less than its busiest link', () => {
  fc.assert(
    fc.property(transfers, (all) => {
      const { order, seconds } = best(all, links({ bytesPerSecond }));
      assert.deepEqual(
        order.toSorted((left, right) => left - right),
        [...all.keys()],
      );
      for (const [host, side] of [
        ['a', 'from'],
        ['b', 'from'],
        ['c', 'to'],
        ['d', 'to'],
        ['e', 'to'],
      ] as const) {
        const bytes = all
          .filter((each) => each[side] === host)
          .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
        assert.ok(seconds >= bytes / bytesPerSecond(host) - 1e-6);
      }
    }),
  );
});

test('the number of attempts is bounded whatever the length', () => {
  for (const count of [1, 9, 200, 100_000]) {
    assert.ok(triesFor(count) >= 40 && triesFor(count) <= 1500);
  }
});

function orders<T>(all: readonly T[]): T[][] {
  if (all.length <= 1) return [[...all]];
  return all.flatMap((first, place) =>
    orders(all.toSpliced(place, 1)).map((rest) => [first, ...rest]),
  );
}
