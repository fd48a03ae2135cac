import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { newWish, wishAsk, type Wish } from '../../src/protocol/controller/wish.ts';
import {
  askForWishes,
  knownWishes,
  MAX_ENDED,
  newsOfWish,
  wishes,
} from '../../web/src/wishes/wishes.ts';

const ASK = wishAsk.parse({ kind: 'drain', hosts: ['a'] });
const UNTIL = new AbortController().signal;

const working = (id: string, nowMs: number): Wish => newWish(id, ASK, { nowMs, by: 'ann' });
const done = (id: string, nowMs: number): Wish => ({ ...working(id, nowMs), phase: 'done' });

/** A controller whose answers come when the test says so. */
function answers(t: TestContext): ((list: Wish[]) => void)[] {
  wishes.value = undefined;
  const waiting: ((list: Wish[]) => void)[] = [];
  t.mock.method(
    globalThis,
    'fetch',
    () =>
      new Promise((resolve) => {
        waiting.push((list) => resolve(Response.json({ wishes: list })));
      }),
  );
  return waiting;
}

const phases = () => knownWishes()?.map(({ id, phase }) => `${id} ${phase}`);

test('a wish that ends while the list is asked for is not shown as open by an older answer', async (t) => {
  const answer = answers(t);
  const asked = askForWishes(UNTIL);
  newsOfWish(done('w-1', 1));
  newsOfWish(working('w-2', 2));
  answer[0]?.([working('w-1', 1)]);
  await asked;
  assert.deepEqual(phases(), ['w-2 working', 'w-1 done']);
});

test('of two answers the late one, to the earlier question, takes nothing back', async (t) => {
  const answer = answers(t);
  const asked = [askForWishes(UNTIL), askForWishes(UNTIL)];
  answer[1]?.([working('w-1', 1)]);
  await asked[1];
  newsOfWish(done('w-1', 1));
  answer[0]?.([working('w-1', 1)]);
  await asked[0];
  assert.deepEqual(phases(), ['w-1 done']);
});

test('the list keeps every open wish and forgets the oldest of those that have ended', async (t) => {
  const answer = answers(t);
  const asked = askForWishes(UNTIL);
  answer[0]?.([working('w-0', 0)]);
  await asked;
  for (let at = 1; at <= MAX_ENDED + 2; at += 1) newsOfWish(done(`w-${at}`, at));
  const known = phases() ?? [];
  assert.equal(known.length, MAX_ENDED + 1);
  assert.deepEqual(
    [known[0], known.at(-2), known.at(-1)],
    ['w-1002 done', 'w-3 done', 'w-0 working'],
  );
});
