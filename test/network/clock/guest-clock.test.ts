import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askGuestClock } from '../../../src/network/clock/guest-clock.ts';

const signal = (): AbortSignal => AbortSignal.timeout(20_000);
const skip = process.getuid?.() === 0 ? false : 'a raw socket takes root';

test('the loopback address has the clock of this host', { skip }, async () => {
  const reading = await askGuestClock('127.0.0.1', signal());
  assert.ok(typeof reading !== 'string', JSON.stringify(reading));
  // No further off than the question took, and whole milliseconds.
  assert.ok(Math.abs(reading.aheadMs) <= reading.tookMs + 2, JSON.stringify(reading));
});

test('an address without an answer is reported as silent', { skip }, async () => {
  // Reserved for examples: where there is a route at all, nobody is there.
  const reading = await askGuestClock('127.255.255.255', signal());
  assert.equal(typeof reading, 'string');
});
