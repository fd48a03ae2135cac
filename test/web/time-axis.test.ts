import assert from 'node:assert/strict';
import { test } from 'node:test';
import { timeLabels } from '../../web/src/components/time-axis.ts';

/** s since 1970 of a moment in this computer's own time zone. */
const at = (day: number, hour: number, minute = 0, second = 0): number =>
  new Date(2026, 10, day, hour, minute, second).getTime() / 1000;

test('a time axis has a 24-hour clock, and names the day at its beginning and at each change', () => {
  const labels = timeLabels([at(22, 23, 30), at(23, 0), at(23, 13, 30)], 1800);
  assert.deepEqual(labels, ['23:30\n22 Nov', '00:00\n23 Nov', '13:30']);
});

test('an axis of minutes has seconds, and one of weeks has only days', () => {
  assert.deepEqual(timeLabels([at(23, 9, 0, 5), at(23, 9, 0, 10)], 5), [
    '09:00:05\n23 Nov',
    '09:00:10',
  ]);
  assert.deepEqual(timeLabels([at(21, 0), at(22, 0)], 86_400), ['21 Nov', '22 Nov']);
});

test('no label has am or pm', () => {
  const hours = Array.from({ length: 24 }, (_, hour) => at(23, hour));
  assert.ok(timeLabels(hours, 3600).every((each) => !/[ap]\.?m/i.test(each)));
});
