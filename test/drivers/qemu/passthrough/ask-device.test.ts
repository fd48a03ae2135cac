import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { callsUnderWay } from '../../../../src/system/processes/hanging-calls.ts';
import { askDevice } from '../../../../src/drivers/qemu/passthrough/ask-device.ts';

/** The calls are real; the answers of a driver are not to be had without such a device. */
test('a descriptor of anything else answers nothing, and none is left open', async () => {
  const fd = openSync('/dev/null', 'r');
  try {
    await askDevice(process.pid, fd);
    const before = readdirSync('/proc/self/fd').length;
    assert.equal(await askDevice(process.pid, fd), undefined);
    assert.equal(await askDevice(process.pid, 1_000_000), undefined);
    assert.equal(await askDevice(2 ** 22 + 1, fd), undefined);
    assert.equal(readdirSync('/proc/self/fd').length, before);
    const asked = askDevice(process.pid, fd);
    assert.equal(callsUnderWay(), 1);
    await asked;
    assert.equal(callsUnderWay(), 0);
  } finally {
    closeSync(fd);
  }
});
