import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeWorkload } from '../../../src/migration/preflight/workload.ts';
import type { WorkloadFacts } from '../../../src/migration/preflight/workload.ts';

const PLAIN = { mode: 'precopy', streams: 1, compress: 'none', maxDowntimeMs: 100 } as const;

function words(facts: Partial<WorkloadFacts>): string {
  const [finding, ...more] = judgeWorkload({ settings: PLAIN, ...facts });
  assert.deepEqual(more, []);
  return `${finding?.verdict}: ${finding?.evidence} ${finding?.hint ?? ''}`;
}

test('what a guest does is said, and that nobody has seen it', () => {
  assert.match(words({}), /^pass: nobody has seen/);
  const load = { cores: 1.24, writtenBytesPerS: 3_000_000, inBytesPerS: 1_000_000 };
  assert.match(
    words({ load }),
    /^pass: in the last minute it used 1\.2 processors, .* to its disks/,
  );
});

test('a downtime beyond what its owner allows is warned of, with the option that keeps to it', () => {
  assert.match(
    words({ ownersDowntimeMs: 60 }),
    /^warn: its owner allows 60 ms .* and 100 ms are asked for .*--max-downtime 60ms/,
  );
  assert.match(words({ ownersDowntimeMs: 100 }), /^pass: .*its owner allows 100 ms/);
  // Post-copy has no such limit.
  const settings = { ...PLAIN, mode: 'postcopy' } as const;
  assert.match(words({ ownersDowntimeMs: 60, settings }), /^pass/);
  // Hybrid may end by pre-copy, with all of the downtime that was asked for.
  const hybrid = { ...PLAIN, mode: 'hybrid' } as const;
  assert.match(words({ ownersDowntimeMs: 60, settings: hybrid }), /^warn: .* are asked for/);
});

test('a limit that the state of the devices alone exceeds is warned of, whatever is asked for', () => {
  const settings = { ...PLAIN, maxDowntimeMs: 5 };
  assert.match(words({ ownersDowntimeMs: 5, settings }), /^warn: .*devices alone takes .*postcopy/);
});

test('a guest whose own traffic has much of the link is warned of, unless it is left room', () => {
  const busy = { load: { cores: 1, outBytesPerS: 50_000_000 }, linkRate: 125_000_000 };
  assert.match(words(busy), /^warn: its own traffic is .*--link-share/);
  assert.match(words({ ...busy, settings: { ...PLAIN, linkShare: 0.6 } }), /^pass/);
  assert.match(words({ ...busy, settings: { ...PLAIN, maxBandwidth: 10_000_000 } }), /^pass/);
  assert.match(words({ ...busy, linkRate: 1_250_000_000 }), /^pass/);
  // Nobody knows what the link carries.
  assert.match(words({ load: busy.load }), /^pass/);
});
