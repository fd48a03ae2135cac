import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SimProcess } from '../../sim/process.ts';
import { Random } from '../../sim/random.ts';
import { Scheduler } from '../../sim/scheduler.ts';
import { standIn } from '../../sim/stand-ins.ts';

function processOn(scheduler: Scheduler): SimProcess {
  const who = { name: 'a process', host: 'a', pid: 1 } as const;
  return new SimProcess(
    who,
    scheduler,
    () => 1000 + scheduler.now,
    () => {},
  );
}

const all = (scheduler: Scheduler): Promise<void> =>
  scheduler.run(
    () => false,
    1_000_000,
    () => {},
  );

describe('virtual time', () => {
  test('virtual time runs jobs in order of time, and simultaneous ones in order of request', async () => {
    const scheduler = new Scheduler();
    const random = new Random(7);
    const seen: [number, number][] = [];
    const asked = Array.from({ length: 200 }, (_, index) => [random.whole(0, 20), index] as const);
    for (const [ms, index] of asked) {
      scheduler.after(ms, undefined, () => seen.push([ms, index]));
    }
    await all(scheduler);
    const expected = asked.toSorted(([one, i], [other, j]) => one - other || i - j);
    assert.deepEqual(seen, expected);
    assert.equal(scheduler.now, 20);
  });

  test('virtual time advances only when everything that a job started has settled', async () => {
    const scheduler = new Scheduler();
    const seen: string[] = [];
    scheduler.after(1, undefined, () => {
      void (async () => {
        for (let hop = 0; hop < 10; hop += 1) await Promise.resolve();
        seen.push(`settled at ${scheduler.now}`);
      })();
    });
    scheduler.after(2, undefined, () => seen.push('next'));
    await all(scheduler);
    assert.deepEqual(seen, ['settled at 1', 'next']);
  });

  test('virtual time rules the timers and clocks of a simulated process, and of no other', async () => {
    standIn();
    const scheduler = new Scheduler();
    const process = processOn(scheduler);
    const seen: unknown[] = [];
    process.run(() => {
      const cleared = setTimeout(() => seen.push('cleared'), 5).unref();
      clearTimeout(cleared);
      const every = setInterval(() => seen.push(performance.now()), 3600);
      setTimeout(() => clearInterval(every), 8000);
      AbortSignal.timeout(9000).addEventListener('abort', () => seen.push(Date.now()));
    });
    const before = performance.now();
    await all(scheduler);
    assert.deepEqual(seen, [3600, 7200, 10_000]);
    assert.ok(performance.now() - before < 3000, 'no real time passed');
    assert.ok(Date.now() > 1_700_000_000_000);
  });

  test('virtual time waits for a frozen process, and drops the timers of a dead one', async () => {
    const scheduler = new Scheduler();
    const frozen = processOn(scheduler);
    const dead = processOn(scheduler);
    const seen: string[] = [];
    frozen.frozenUntil = 50;
    scheduler.after(10, frozen, () => seen.push(`first at ${scheduler.now}`));
    scheduler.after(20, frozen, () => seen.push(`second at ${scheduler.now}`));
    scheduler.after(30, dead, () => seen.push('dead'));
    scheduler.after(25, undefined, () => dead.die());
    await all(scheduler);
    assert.deepEqual(seen, ['first at 50', 'second at 50']);
  });
});
