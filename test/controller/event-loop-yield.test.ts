import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventLoopYield } from '../../src/controller/event-loop-yield.ts';

/** So many decisions asked for at once, each of which takes so long: the turn of the event loop in which each was made. */
async function turnsOf(decisions: number, eachMs: number): Promise<number[]> {
  let [nowMs, turn] = [0, 0];
  const eventLoop = new EventLoopYield(
    () => nowMs,
    async () => {
      turn += 1;
    },
  );
  const made: number[] = [];
  const decide = async (): Promise<void> => {
    await eventLoop.next();
    made.push(turn);
    nowMs += eachMs;
  };
  await Promise.all(Array.from({ length: decisions }, decide));
  return made;
}

test('slow decisions are made in separate turns of the event loop', async () => {
  assert.deepEqual(await turnsOf(4, 6), [1, 2, 3, 4]);
});

test('quick decisions share a turn until its time is used up', async () => {
  assert.deepEqual(await turnsOf(6, 2), [1, 1, 1, 2, 2, 2]);
});
