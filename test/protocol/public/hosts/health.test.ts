import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostHealth, MAX_SIGNALS } from '../../../../src/protocol/public/hosts/health.ts';

const signal = {
  kind: 'memory',
  level: 'warning',
  part: 'mc0',
  words: '3 errors corrected',
} as const;
const looked = { at: '2026-11-23T06:00:00.000Z', signals: [signal], notRead: [] };

test('a host reports its problems, and the facts that it cannot determine', () => {
  assert.deepEqual(hostHealth.parse(looked), looked);
});

test('no host reports more than is shown, or of an unknown kind', () => {
  const many = { ...looked, signals: Array.from({ length: MAX_SIGNALS + 1 }, () => signal) };
  const strange = { ...looked, signals: [{ ...signal, kind: 'smell' }] };
  for (const wrong of [many, strange]) assert.equal(hostHealth.safeParse(wrong).success, false);
});
