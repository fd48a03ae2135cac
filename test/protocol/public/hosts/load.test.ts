import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostLoad } from '../../../../src/protocol/public/hosts/load.ts';

const STILL = {
  at: '2026-11-23T06:00:00.000Z',
  overMs: 10_000,
  processor: { cores: 4, used: 0.5, steal: 0 },
  memory: { totalBytes: 8, availableBytes: 4, swapUsedBytes: 0 },
  network: { inBytesPerS: 0, outBytesPerS: 0 },
  disk: { readBytesPerS: 0, writeBytesPerS: 0 },
  guests: [],
};

test('a sample may lack facts that a kernel does not report', () => {
  assert.deepEqual(hostLoad.parse(STILL), STILL);
});

test('a share above one is not a sample', () => {
  const wrong = { ...STILL, processor: { ...STILL.processor, used: 1.5 } };
  assert.equal(hostLoad.safeParse(wrong).success, false);
});
