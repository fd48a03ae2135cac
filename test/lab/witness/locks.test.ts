import assert from 'node:assert/strict';
import { test } from 'node:test';
import { locksIn } from '../../../lab/witness/locks.ts';

test('the locks of an open file are read as the kernel writes them', () => {
  const text = [
    'pos:\t0',
    'flags:\t02100002',
    'lock:\t1: OFDLCK ADVISORY READ  -1 00:1c:1234 100 101',
    'lock:\t2: POSIX  ADVISORY WRITE 4711 fe:00:99 203 EOF',
    'lock: something else',
  ].join('\n');
  assert.deepEqual(locksIn(text), [
    { start: 100, end: 101 },
    { start: 203, end: Number.POSITIVE_INFINITY },
  ]);
});
