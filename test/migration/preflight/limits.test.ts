import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  MAX_WAIT_MS,
  judgeLimits,
  leastSwitchMs,
  leftOfLimits,
} from '../../../src/migration/preflight/limits.ts';
import {
  migrationSettings,
  type MigrationSettings,
} from '../../../src/protocol/public/migration.ts';

const NOW = Date.UTC(2026, 4, 1, 12);
const at = (ms: number): string => new Date(NOW + ms).toISOString();
function words(given: Partial<MigrationSettings>): string {
  const [finding] = judgeLimits({ settings: migrationSettings.parse(given), nowMs: NOW });
  assert.ok(finding !== undefined);
  return `${finding.verdict}: ${finding.evidence}`;
}

test('a deadline that has passed, or comes before memory could move, is refused with the arithmetic', () => {
  assert.match(words({ deadlineAt: at(-1) }), /^refuse: .*2026-05-01T11:59:59.999Z is over/);
  assert.match(words({ deadlineAt: at(1000) }), /^refuse: .*1\.0? ?s are left.*takes 2\.5/);
  assert.match(words({ deadlineAt: at(60_000) }), /^pass/);
  assert.match(words({}), /^pass/);
});

test('a deadline or an earliest start that cannot be read as a time is refused', () => {
  assert.match(
    words({ deadlineAt: 'tomorrow' }),
    /^refuse: the deadline tomorrow cannot be read as a time$/,
  );
  assert.match(
    words({ notBefore: 'noon' }),
    /^refuse: the earliest beginning noon cannot be read as a time$/,
  );
});

test('a budget too short for the devices alone, or without a deadline, is refused', () => {
  const budget = { steering: 'budget', deadlineAt: at(60_000) } as const;
  assert.match(
    words({ ...budget, maxDowntimeMs: 2 }),
    /^refuse: .*2 ms of downtime.*alone takes 3 ms/,
  );
  assert.match(
    words({ ...budget, maxDowntimeMs: 100 }),
    /^pass: allowed: 100 ms of downtime, .* by strategy budget$/,
  );
  assert.match(words({ steering: 'budget', maxDowntimeMs: 100 }), /^refuse: .*needs a deadline/);
  // A longest downtime of anybody else is a wish.
  assert.match(words({ steering: 'standard', maxDowntimeMs: 1 }), /^pass/);
});

test('the shortest switch takes less in post-copy than in pre-copy, and longest with several streams', () => {
  const plain = { streams: 1, compress: 'none' } as const;
  const [postcopy, precopy, several] = [
    leastSwitchMs({ mode: 'hybrid', ...plain }),
    leastSwitchMs({ mode: 'precopy', ...plain }),
    leastSwitchMs({ mode: 'precopy', streams: 4, compress: 'zstd' }),
  ];
  assert.ok(postcopy < precopy && precopy < several, `${postcopy} ${precopy} ${several}`);
});

test('the earlier of timeout and deadline counts', () => {
  assert.equal(leftOfLimits({ timeoutMs: 1000 }, NOW), 1000);
  assert.equal(leftOfLimits({ timeoutMs: 90_000, deadlineAt: at(5000) }, NOW), 5000);
  assert.equal(leftOfLimits({}, NOW), Infinity);
});

test('a wait for a quiet moment that does not fit before the deadline is named, with its cause', () => {
  const settings = migrationSettings.parse({
    whenQuiet: { withinMs: 3_600_000 },
    deadlineAt: at(1_800_000),
  });
  const [{ evidence, error } = assert.fail('nothing was found')] = judgeLimits({
    settings,
    nowMs: NOW,
  });
  assert.match(evidence, /is over before it begins, 1 h 00 min for a quiet moment out$/);
  assert.match(error?.hint ?? '', /--quiet-within \(1h by default\), must fit before the deadline/);
});

test('a timeout that ends before memory could move causes a warning', () => {
  assert.match(words({ timeoutMs: 2000 }), /^warn: the timeout is 2\.0 s, .*takes 2\.5 s before/);
  assert.match(words({ timeoutMs: 10_000 }), /^pass/);
});

test('a start time limits the time before the deadline, and is at most a week ahead', () => {
  const notBefore = at(60_000);
  assert.equal(leftOfLimits({ notBefore, deadlineAt: at(90_000) }, NOW), 30_000);
  assert.equal(leftOfLimits({ notBefore: at(-60_000), deadlineAt: at(90_000) }, NOW), 90_000);
  assert.equal(leftOfLimits({ notBefore, timeoutMs: 5000 }, NOW), 5000);
  assert.match(words({ notBefore, deadlineAt: at(59_000) }), /^refuse: .*is over before it begins/);
  assert.match(words({ notBefore, deadlineAt: at(61_000) }), /^refuse: .*left from .* until/);
  assert.match(words({ notBefore, deadlineAt: at(120_000) }), /^pass/);
  const whenQuiet = { withinMs: 30_000 };
  assert.match(words({ whenQuiet, deadlineAt: at(31_000) }), /^refuse: .*30.* for a quiet moment/);
  assert.match(words({ whenQuiet, deadlineAt: at(60_000) }), /^pass/);
  assert.match(words({ notBefore: at(MAX_WAIT_MS + 1) }), /^refuse: .*more than 7 days ahead/);
});
