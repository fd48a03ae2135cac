import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { withStarts } from '../../../src/controller/requests/queue.ts';
import type { Waiting } from '../../../src/protocol/controller/fleet-request.ts';

const NOW = 1_000_000;
const entry = (guest: string, waitsFor: Waiting['waitsFor'] = 'request-limit'): Waiting => ({
  guest,
  from: 'a',
  waitsFor,
  words: 'it waits',
});

test('each entry is expected in the slot that is free soonest', () => {
  const queue = [entry('g1'), entry('g2'), entry('full', 'memory'), entry('g3')];
  const seconds = new Map(queue.map(({ guest }) => [guest, 10]));
  const running = [
    { createdAtMs: NOW - 5000, seconds: 10 },
    { createdAtMs: NOW - 1000, seconds: 10 },
  ];
  const found = withStarts(queue, { nowMs: NOW, parallel: 2, running, seconds });
  assert.deepEqual(
    found.map(({ startsAtMs }) => startsAtMs),
    [NOW + 5000, NOW + 9000, undefined, NOW + 15_000],
  );
});

test('no entry is expected in the past, and an earlier one never after a later one', () => {
  const takes = fc.array(fc.integer({ min: 0, max: 600 }), { maxLength: 20 });
  fc.assert(
    fc.property(takes, fc.integer({ min: 1, max: 8 }), (all, parallel) => {
      const queue = all.map((_, place) => entry(`g${place}`));
      const seconds = new Map(all.map((each, place) => [`g${place}`, each]));
      const found = withStarts(queue, { nowMs: NOW, parallel, running: [], seconds });
      let last = NOW;
      for (const { startsAtMs = -1 } of found) {
        assert.ok(startsAtMs >= last);
        last = startsAtMs;
      }
    }),
  );
});

test('the expected time of an entry that may begin at any time stays the same for a while', () => {
  const starts = Array.from({ length: 50 }, (_none, at) => {
    const nowMs = NOW + 100 * (at + 1);
    const running = [{ createdAtMs: NOW - 60_000, seconds: 10 }];
    const seconds = new Map([['g1', 10]]);
    const [found] = withStarts([entry('g1')], { nowMs, parallel: 1, running, seconds });
    return found?.startsAtMs;
  });
  assert.deepEqual([...new Set(starts)], [NOW + 5000]);
});
