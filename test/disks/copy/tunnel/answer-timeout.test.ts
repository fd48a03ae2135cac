import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AnswerTimeout } from '../../../../src/disks/copy/tunnel/answer-timeout.ts';

test('bytes that are not taken within the limit time out, and bytes that are taken in time do not', () => {
  const timeout = new AnswerTimeout();
  assert.equal(timeout.isOver({ sent: 10, taken: 0, asked: true }, 0, 100), false);
  assert.equal(timeout.isOver({ sent: 20, taken: 0, asked: true }, 60, 100), false);
  // The first ten are taken; those of 60 ms are not.
  assert.equal(timeout.isOver({ sent: 20, taken: 10, asked: true }, 120, 100), false);
  assert.equal(timeout.isOver({ sent: 20, taken: 10, asked: true }, 161, 100), true);
});

test('an answer that is missing after all was taken times out as well', () => {
  const timeout = new AnswerTimeout();
  assert.equal(timeout.isOver({ sent: 10, taken: 10, asked: true }, 0, 100), false);
  assert.equal(timeout.isOver({ sent: 10, taken: 10, asked: true }, 100, 100), false);
  assert.equal(timeout.isOver({ sent: 10, taken: 10, asked: true }, 101, 100), true);
});

test('a connection without a question may be silent for ever', () => {
  const timeout = new AnswerTimeout();
  for (const nowMs of [0, 1e3, 1e6, 1e9]) {
    assert.equal(timeout.isOver({ sent: 10, taken: 10, asked: false }, nowMs, 100), false);
  }
});

test('the timeout comes exactly when bytes have waited longer than the limit, within one look', () => {
  const step = fc.record({
    ms: fc.integer({ min: 1, max: 10 }),
    sends: fc.nat(3),
    takes: fc.nat(4),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const timeout = new AnswerTimeout();
      const sentAtMs: number[] = [];
      let [nowMs, taken] = [0, 0];
      for (const { ms, sends, takes } of steps) {
        const fromMs = nowMs;
        nowMs += ms;
        for (let count = 0; count < sends; count += 1) sentAtMs.push(fromMs);
        taken = Math.min(sentAtMs.length, taken + takes);
        const standing = { sent: sentAtMs.length, taken, asked: false };
        const over = timeout.isOver(standing, nowMs, 30);
        const oldest = sentAtMs[taken];
        const waited = oldest === undefined ? 0 : nowMs - oldest;
        if (over) assert.ok(waited > 30, `${waited} ms`);
        if (waited > 40) assert.ok(over, `${waited} ms`);
      }
    }),
  );
});
