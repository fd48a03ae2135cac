import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readLabels, untilWindowMs } from '../../src/protocol/label-rules.ts';

test('labels are read', () => {
  assert.deepEqual(
    readLabels({
      'godwit/max-downtime': '300ms',
      'godwit/anti-affinity': 'db',
      'godwit/window': 'sat,sun 22:00-04:00',
      'godwit/notice': '90s',
      'godwit/unplug': 'hostdev0,usb1',
      'godwit/plug': 'gpu0',
      'godwit/realtime': 'true',
      team: 'payments',
    }),
    {
      neverMove: false,
      maxDowntimeMs: 300,
      antiAffinity: 'db',
      window: { days: [6, 0], fromMinute: 1320, toMinute: 240 },
      noticeMs: 90_000,
      unplug: ['hostdev0', 'usb1'],
      plug: ['gpu0'],
      realtime: true,
    },
  );
});

test('contradictory or invalid labels are reported in words', () => {
  const words = (labels: Record<string, string>): string => {
    const read = readLabels(labels);
    return 'words' in read ? read.words : '';
  };
  const both = { 'godwit/never-move': 'true', 'godwit/window': '22:00-04:00' };
  assert.match(words(both), /contradict each other: godwit\/never-move and godwit\/window/);
  assert.match(
    words({ 'godwit/nevermove': 'true' }),
    /godwit\/nevermove is not one that Godwit knows\. Did you mean godwit\/never-move\?/,
  );
  assert.match(words({ 'godwit/never-move': 'yes' }), /neither true nor false/);
  assert.match(
    words({ 'godwit/max-downtime': '2h' }),
    /says "2h", which is no duration from 1ms to 60s/,
  );
  assert.match(words({ 'godwit/window': '22:00-22:00' }), /nothing like/);
  assert.match(words({ 'godwit/realtime': 'yes' }), /godwit\/realtime says "yes", .* neither/);
  assert.match(words({ 'godwit/recover': '1' }), /godwit\/recover says "1", .* neither/);
  assert.match(words({ 'godwit/notice': '2h' }), /no duration from 1s to 1h/);
  assert.match(words({ 'godwit/unplug': '/dev/vfio/1' }), /nothing like "hostdev0/);
  assert.match(words({ 'godwit/plug': 'gpu0,gpu0' }), /godwit\/plug says .* nothing like/);
  assert.match(words({ 'godwit/anti-affinity': '../x' }), /no name of a group/);
});

test('any label is either read or refused in words', () => {
  const name = fc.constantFrom(
    'never-move',
    'max-downtime',
    'anti-affinity',
    'window',
    'notice',
    'realtime',
    'other',
  );
  const entry = fc.tuple(
    name.map((each) => `godwit/${each}`),
    fc.oneof(fc.string(), fc.constantFrom('true', '1ms', 'mon 00:00-23:59', '24:00-01:00')),
  );
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 4 }), (entries) => {
      const read = readLabels(Object.fromEntries(entries));
      assert.ok('words' in read ? read.words.length > 0 : typeof read.neverMove === 'boolean');
    }),
  );
});

test('a window is open in its minutes, and its next opening is the earliest', () => {
  const window = { days: [1], fromMinute: 22 * 60, toMinute: 4 * 60 };
  const at = (text: string): number => untilWindowMs(window, Date.parse(text));
  // 23 November 2026 is a Monday.
  assert.equal(at('2026-11-23T22:00:00Z'), 0);
  assert.equal(at('2026-11-24T03:59:59Z'), 0);
  assert.equal(at('2026-11-23T21:59:30Z'), 30_000);
  assert.equal(at('2026-11-24T04:00:00Z'), (6 * 24 + 18) * 3_600_000);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e12 }), (nowMs) => {
      const waitMs = untilWindowMs(window, nowMs);
      assert.equal(untilWindowMs(window, nowMs + waitMs), 0);
    }),
  );
});
