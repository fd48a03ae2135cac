import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log } from '../src/log.ts';
import { Poller } from '../src/poller.ts';
import { untilSo } from './until.ts';

/** A poller on a clock that waits for nobody, until its signal aborts. */
function pretendedPoller() {
  const warnings: string[] = [];
  const log = { warn: (_facts: object, words: string) => warnings.push(words) } as unknown as Log;
  const sleep = async (_ms: number, signal?: AbortSignal): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    signal?.throwIfAborted();
  };
  const clock = { wallMs: () => 0, monotonicMs: () => 0, sleep };
  return { poller: new Poller({ clock, log }), warnings };
}

test('polling continues after a failed look, and the failure is logged', async () => {
  const { poller, warnings } = pretendedPoller();
  let count = 0;
  const look = async (): Promise<void> => {
    count += 1;
    if (count === 2) throw new Error('the store is away');
  };
  poller.start(1000, look, 'it was not seen to');
  await untilSo(() => count > 3);
  await poller.close();
  assert.deepEqual(warnings, ['it was not seen to']);
});

test('closing a poller ends all looks, waits for the running one, and logs nothing of its end', async () => {
  const { poller, warnings } = pretendedPoller();
  let isOver = false;
  let others = 0;
  const look = (): Promise<void> =>
    new Promise((_resolve, reject) => {
      poller.signal.addEventListener('abort', () => {
        isOver = true;
        reject(new Error('it was broken off'));
      });
    });
  poller.start(1000, look, 'it was not seen to');
  poller.start(1000, async () => void (others += 1), 'nor this');
  await untilSo(() => others > 0);
  await poller.close();
  assert.equal(isOver, true);
  const before = others;
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([others, warnings], [before, []]);
});
