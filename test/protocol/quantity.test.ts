import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../src/errors.ts';
import {
  formatBytes,
  formatDuration,
  formatMoment,
  formatRate,
  parseBytes,
  parseDuration,
  parseRate,
} from '../../src/protocol/quantity.ts';

test('sizes are read in powers of 1024 unless the unit is decimal', () => {
  assert.equal(parseBytes('512M'), 512 * 1024 ** 2);
  assert.equal(parseBytes('1GiB'), 1024 ** 3);
  assert.equal(parseBytes('1500MB'), 1.5e9);
  assert.equal(parseBytes('1.5k'), 1536);
  assert.equal(parseBytes('4096'), 4096);
});

test('rates are read in bits or bytes and answered in bytes a second', () => {
  assert.equal(parseRate('1gbit'), 125_000_000);
  assert.equal(parseRate('100mbit/s'), 12_500_000);
  assert.equal(parseRate('100Mbps'), 100_000_000);
  assert.equal(parseRate('20MiB/s'), 20 * 1024 ** 2);
  assert.equal(parseRate('20MB/s'), 20_000_000);
  assert.equal(parseRate('20M'), 20 * 1024 ** 2);
});

test('durations are read with their unit and answered in ms', () => {
  assert.equal(parseDuration('20ms'), 20);
  assert.equal(parseDuration('1.5s'), 1500);
  assert.equal(parseDuration('10m'), 600_000);
  assert.equal(parseDuration('2h'), 7_200_000);
  assert.equal(parseDuration('0'), 0);
});

test('an invalid quantity is refused with the accepted formats', () => {
  for (const [parse, text] of [
    [parseBytes, '12 parsecs'],
    [parseBytes, '-1M'],
    [parseBytes, '20MiB/s'],
    [parseBytes, '999999999999999T'],
    [parseRate, 'fast'],
    [parseRate, ''],
    [parseDuration, '20'],
    [parseDuration, '20ms/s'],
  ] as const) {
    assert.throws(
      () => parse(text),
      (error) => hasCode(error, 'GODWIT_USAGE') && /Write it like/.test(error.hint),
      text,
    );
  }
});

test('any text is either read as a safe number or refused as usage', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), (text) => {
      for (const parse of [parseBytes, parseRate, parseDuration]) {
        try {
          const value = parse(text);
          assert.ok(value >= 0 && value <= Number.MAX_SAFE_INTEGER);
        } catch (error) {
          assert.ok(hasCode(error, 'GODWIT_USAGE'));
        }
      }
    }),
  );
});

test('a formatted size reads back to within its last digit', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 48 }), (bytes) => {
      const back = parseBytes(formatBytes(bytes));
      assert.ok(Math.abs(back - bytes) <= bytes * 0.01 + 1);
    }),
  );
});

test('formatters use human-readable units', () => {
  assert.equal(formatBytes(402 * 1024 ** 2), '402 MiB');
  assert.equal(formatBytes(17), '17 B');
  assert.equal(formatRate(1.5 * 1024 ** 3), '1.5 GiB/s');
  assert.equal(formatDuration(12), '12 ms');
  assert.equal(formatDuration(3.14), '3.14 ms');
  assert.equal(formatDuration(3100), '3.1 s');
  assert.equal(formatDuration(125_000), '2 min 05 s');
  assert.equal(formatDuration(3_840_000), '1 h 04 min');
  assert.equal(formatDuration(47 * 3_600_000), '47 h 00 min');
  assert.equal(formatDuration(8760 * 3_600_000), '365 d 00 h');
  assert.equal(formatMoment('2026-05-01T18:00:07.123Z'), '2026-05-01 18:00:07Z');
});
