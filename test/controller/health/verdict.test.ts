import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  judged,
  snapshotOf,
  WELL,
  type HealthSnapshot,
  type Verdict,
} from '../../../src/controller/health/verdict.ts';

const limits = { failingMs: 300, wellMs: 1000 };
const looks = fc.array(
  fc.record({
    seen: fc.constantFrom<HealthSnapshot>('well', 'failing', 'unclear'),
    afterMs: fc.integer({ min: 1, max: 400 }),
  }),
  { maxLength: 200 },
);

/** Every verdict with its moment and what was seen then. */
function course(all: readonly { readonly seen: HealthSnapshot; readonly afterMs: number }[]) {
  let verdict: Verdict = WELL;
  let nowMs = 0;
  return all.map(({ seen, afterMs }) => {
    nowMs += afterMs;
    verdict = judged(verdict, seen, nowMs, limits);
    return { ...verdict, nowMs, seen };
  });
}

test('a verdict never flaps: a change needs the opposite signal for a minimum time', () => {
  fc.assert(
    fc.property(looks, (all) => {
      const steps = course(all);
      let changedMs = -Infinity;
      let before = false;
      for (const [at, { isIll, nowMs }] of steps.entries()) {
        if (isIll === before) continue;
        before = isIll;
        const least: number = isIll ? limits.failingMs : limits.wellMs;
        assert.ok(nowMs - changedMs >= least);
        const run = steps.slice(0, at + 1).filter((each) => each.nowMs >= nowMs - least);
        assert.ok(run.every(({ seen }) => seen === (isIll ? 'failing' : 'well')));
        changedMs = nowMs;
      }
    }),
  );
});

test('a host becomes ill after a long enough failure, and well after a long enough recovery', () => {
  fc.assert(
    fc.property(looks, fc.boolean(), (all, failing) => {
      const last = { seen: failing ? 'failing' : 'well', afterMs: 100 } as const;
      const steps = course([...all, ...Array.from({ length: 12 }, () => last)]);
      assert.equal(steps.at(-1)?.isIll, failing);
    }),
  );
});

test('warnings alone, and a host without any known signal, do not change the verdict', () => {
  const signal = { kind: 'disk', level: 'warning', part: 'sda', words: 'old' } as const;
  const at = new Date(0).toISOString();
  assert.equal(snapshotOf(undefined, 0), 'unclear');
  assert.equal(snapshotOf({ at, signals: [signal], notRead: [] }, 0), 'unclear');
  assert.equal(snapshotOf({ at, signals: [], notRead: [] }, 0), 'well');
  const failing = { at, signals: [{ ...signal, level: 'failing' as const }], notRead: [] };
  assert.equal(snapshotOf(failing, 0), 'failing');
  assert.equal(
    snapshotOf(failing, 6 * 60_000),
    'unclear',
    'what was reported long ago says nothing of now',
  );
});
