import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginning } from '../../../src/controller/api/history.ts';
import { CostlyAnswers } from '../../../src/controller/api/costly.ts';

/** Answers that take 200 ms each, by a clock that goes on with the work and the pauses alone. */
function costly() {
  let nowMs = 0;
  let busyMs = 0;
  const clock = {
    monotonicMs: () => nowMs,
    sleep: async (ms: number): Promise<void> => void (nowMs += ms),
  };
  const answers = new CostlyAnswers<number>('the test', clock);
  const make = async (): Promise<number> => {
    nowMs += 200;
    busyMs += 200;
    return busyMs;
  };
  const of = (key: string, caller?: string): Promise<number> => answers.of(key, make, caller);
  return { of, busyPart: () => busyMs / nowMs, pass: (ms: number) => (nowMs += ms) };
}

test('a repeated question gets the same answer until ten times its cost has passed', async () => {
  const { of, pass } = costly();
  assert.deepEqual(await Promise.all([of('a'), of('a'), of('a')]), [200, 200, 200]);
  pass(1700);
  assert.equal(await of('a'), 200);
  pass(200);
  assert.equal(await of('a'), 400);
});

test('a caller that asks a new question each time takes at most a tenth of the process', async () => {
  const { of, busyPart } = costly();
  for (let count = 0; count < 50; count += 1) await of(`${count}`);
  assert.ok(busyPart() < 0.12, `${busyPart()}`);
});

test('too many different questions at once are refused, and an error goes to all waiting callers and is forgotten', async () => {
  const { of, pass } = costly();
  const waiting = Array.from({ length: 8 }, (_, count) => of(`${count}`));
  await assert.rejects(of('one more'), { code: 'GODWIT_OVERLOADED' });
  await Promise.all(waiting);
  pass(10_000);
  const answers = new CostlyAnswers<number>('the test', {
    monotonicMs: () => 0,
    sleep: async () => {},
  });
  const fails = async (): Promise<number> => {
    throw new Error('the database is away');
  };
  const asked = [answers.of('a', fails), answers.of('a', async () => 1)];
  for (const each of asked) await assert.rejects(each, /away/);
  assert.equal(await answers.of('a', async () => 2), 2);
});

test("one caller's ever-changing questions do not keep another caller from an answer", async () => {
  const { of } = costly();
  const own = Array.from({ length: 20 }, (_, count) => of(`${count}`, 'viewer ann'));
  const other = await of('other', 'operator bob');
  assert.ok(other > 0);
  const settled = await Promise.allSettled(own);
  const refused = settled.filter((each) => each.status === 'rejected');
  assert.equal(refused.length, 18);
  for (const { reason } of refused)
    assert.equal((reason as { code?: string }).code, 'GODWIT_OVERLOADED');
  // Waiting together with others for the same answer takes no place, and the places are given back.
  await Promise.all([of('a', 'viewer ann'), of('b', 'viewer ann'), of('a', 'viewer ann')]);
});

test('an insight begins at one of few moments, at most one step before the requested one', () => {
  const nowMs = Date.parse('2026-11-22T10:33:20Z');
  const begun = new Set<number>();
  for (let ago = 0; ago < 30 * 24 * 60; ago += 1) {
    const askedMs = nowMs - ago * 60_000;
    const from = beginning(askedMs, nowMs);
    const length = nowMs - askedMs;
    assert.ok(from <= askedMs && askedMs - from < Math.max(300_000, length));
    begun.add(from);
  }
  assert.ok(begun.size < 110, `${begun.size}`);
  assert.equal(beginning(-5, nowMs), 0);
});
