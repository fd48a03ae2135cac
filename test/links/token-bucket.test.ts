import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TokenBucket } from '../../src/links/token-bucket.ts';

test('a bucket never passes more than its rate and one burst in any time, if senders wait', () => {
  const step = fc.record({ bytes: fc.integer({ min: 1, max: 65_536 }), idleMs: fc.nat(300) });
  const rates = fc.integer({ min: 1000, max: 100_000_000 });
  fc.assert(
    fc.property(rates, fc.array(step, { maxLength: 60 }), (bytesPerS, steps) => {
      const bucket = new TokenBucket();
      bucket.setRate(bytesPerS, 0);
      let nowMs = 0;
      let sent = 0;
      for (const { bytes, idleMs } of steps) {
        nowMs += idleMs;
        nowMs += bucket.waitMs(nowMs);
        assert.ok(bucket.waitMs(nowMs) < 0.01);
        bucket.spend(bytes, nowMs);
        sent += bytes;
        const burst = Math.max(65_536, bytesPerS / 100);
        assert.ok(sent <= (nowMs * bytesPerS) / 1000 + burst + 65_536 + 1);
      }
    }),
  );
});

test('a bucket without a rate delays nothing, and a rate of zero is refused', () => {
  const bucket = new TokenBucket();
  bucket.spend(1e12, 0);
  assert.equal(bucket.waitMs(0), 0);
  for (const rate of [0, -1, Number.NaN]) assert.throws(() => bucket.setRate(rate, 0), RangeError);
});

test('urgent data makes a debt, and at most one second of it is paid back', () => {
  const bucket = new TokenBucket();
  bucket.setRate(1_000_000, 0);
  bucket.spend(500_000, 0);
  assert.ok(Math.abs(bucket.waitMs(0) - 434) < 2);
  bucket.spend(50_000_000, 0);
  assert.ok(bucket.waitMs(0) <= 1001);
  assert.equal(bucket.waitMs(1001), 0);
});

test('a rate may be changed and lifted at any time', () => {
  const bucket = new TokenBucket();
  bucket.setRate(1000, 0);
  bucket.spend(66_536, 0);
  assert.ok(bucket.waitMs(0) > 900);
  bucket.setRate(1_000_000, 0);
  assert.ok(bucket.waitMs(0) < 2);
  bucket.setRate(undefined, 0);
  assert.equal(bucket.waitMs(0), 0);
  assert.equal(bucket.bytesPerS, undefined);
});
