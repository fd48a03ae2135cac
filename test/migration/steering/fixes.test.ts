import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixesFor } from '../../../src/migration/steering/fixes.ts';
import type { SteeringMeasure } from '../../../src/protocol/public/steering.ts';

const MiB = 1024 * 1024;
const inputs = {
  round: 5,
  remainingBytes: 50 * MiB,
  rate: 100 * MiB,
  dirtyRate: 200 * MiB,
  expectedDowntimeMs: 500,
  stalledRounds: 3,
  leftMs: 60_000,
};
const levers: readonly SteeringMeasure[] = ['downtime', 'postcopy'];
const isThrottled = false;
const underWayMs = 0;

test('a short downtime comes before measures that change the guest more', () => {
  const words = fixesFor({
    settings: { mode: 'precopy' },
    inputs,
    leastBytes: 50 * MiB,
    levers,
    underWayMs,
    isThrottled,
  });
  assert.match(words, /^Use --max-downtime 650ms .* or --steering must-finish/);
});

test('bytes under way at the stop are added to the required downtime', () => {
  const settings = { mode: 'precopy' } as const;
  const asked = { settings, inputs, leastBytes: 50 * MiB, levers, isThrottled };
  assert.match(fixesFor({ ...asked, underWayMs: 150 }), /^Use --max-downtime 800ms /);
});

test('a requested cap is the first to be raised', () => {
  const settings = { mode: 'precopy', maxBandwidth: 100 * MiB } as const;
  const words = fixesFor({
    settings,
    inputs,
    leastBytes: 5000 * MiB,
    levers,
    underWayMs,
    isThrottled,
  });
  assert.match(words, /^Use a --max-bandwidth above 260 MiB\/s or --steering must-finish/);
});

test('two remedies are named even if nothing can be changed', () => {
  const quiet = { ...inputs, dirtyRate: 0, rate: 1 };
  const words = fixesFor({
    settings: { mode: 'precopy' },
    inputs: quiet,
    leastBytes: 1e12,
    levers: [],
    underWayMs,
    isThrottled,
  });
  assert.match(words, /^Use a link above .* or a time when the guest writes less\.$/);
});

test('throttling is proposed only if it is possible and has not been tried', () => {
  const wordsOf = (at: SteeringMeasure[], isThrottledNow: boolean) =>
    fixesFor({
      settings: { mode: 'precopy' },
      inputs,
      leastBytes: 5000 * MiB,
      levers: at,
      underWayMs,
      isThrottled: isThrottledNow,
    });
  assert.match(wordsOf(['throttle'], false), /^Use --steering no-postcopy \(takes about 65 % /);
  assert.doesNotMatch(wordsOf(['throttle'], true), /no-postcopy/);
  assert.doesNotMatch(wordsOf(['downtime'], false), /no-postcopy/);
});

test('a share of the link is raised as a share, and a cap that would still limit it is not raised', () => {
  const of = (linkShare: number): string =>
    fixesFor({
      settings: { mode: 'precopy', maxBandwidth: 100 * MiB, linkShare },
      inputs,
      leastBytes: 500 * MiB,
      levers,
      underWayMs,
      isThrottled,
    });
  // 260 MiB/s of a link of which a fifth is 100.
  assert.match(of(0.2), /^Use a --link-share above 0\.5[23] or --steering must-finish/);
  assert.match(of(0.5), /^Use a link whose share is above 260 MiB\/s or /);
});
