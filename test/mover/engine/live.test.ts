import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, test } from 'node:test';
import { Live } from '../../../src/mover/engine/live.ts';
import type { Phase, Progress } from '../../../src/protocol/public/migration.ts';

function line(phase: Phase, elapsedMs = 0): Progress {
  return {
    id: 'm-00000001',
    guest: 'web1',
    from: 'a',
    to: 'b',
    mode: 'precopy',
    phase,
    elapsedMs,
    percent: 0,
  };
}

const never = new AbortController().signal;

async function all(lines: AsyncGenerator<Progress>): Promise<Phase[]> {
  const seen: Phase[] = [];
  for await (const one of lines) seen.push(one.phase);
  return seen;
}

/** Lets every follower that was woken read what there is. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the live view', () => {
  test('the live view begins with the present line, and ends with the line that ends the migration', async () => {
    const live = new Live(line('checking'));
    const seen = all(live.follow(never));
    for (const phase of ['preparing', 'memory', 'done'] as const) {
      await turn();
      live.publish(line(phase));
    }
    assert.deepEqual(await seen, ['checking', 'preparing', 'memory', 'done']);
    assert.equal(live.latest.phase, 'done');
  });

  test('the live view lets a slow follower miss lines in between, but never the last', async () => {
    const live = new Live(line('checking'));
    const slow = live.follow(never);
    assert.equal((await slow.next()).value?.phase, 'checking');
    for (let count = 0; count < 1000; count += 1) live.publish(line('memory', count));
    live.publish(line('failed'));
    assert.equal((await slow.next()).value?.phase, 'failed');
    assert.equal((await slow.next()).done, true);
  });

  test('the live view shows the last line to a late follower', async () => {
    const live = new Live(line('cancelled'));
    assert.deepEqual(await all(live.follow(never)), ['cancelled']);
  });

  test('the live view serves several followers, each at a separate pace', async () => {
    const live = new Live(line('checking'));
    const seen = [all(live.follow(never)), all(live.follow(never))];
    await turn();
    live.publish(line('done'));
    assert.deepEqual(await Promise.all(seen), [
      ['checking', 'done'],
      ['checking', 'done'],
    ]);
  });

  test('the live view drops a follower that is gone', async () => {
    const live = new Live(line('memory'));
    const gone = new AbortController();
    const seen = all(live.follow(gone.signal));
    await turn();
    gone.abort();
    assert.deepEqual(await seen, ['memory']);
    assert.equal(getEventListeners(gone.signal, 'abort').length, 0);
    live.publish(line('done'));
  });
});
