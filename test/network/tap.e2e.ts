import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** In a network namespace of its own, which goes away with the process: nothing can be left behind. */
test('a tap joins its bridge, is created once however often requested, and is removed', async () => {
  const steps = path.join(import.meta.dirname, 'tap-steps.ts');
  const { stdout } = await run('unshare', ['--net', process.execPath, steps]);
  assert.deepEqual(JSON.parse(stdout), {
    made: 'tapx0',
    again: 'tapx0',
    taken: 'GODWIT_ID_REUSED',
    bridge: 'br0',
    // The uplink's: the guest's port has not changed by what the host is known.
    host: 'fa:00:00:00:00:01',
    mtu: 1400,
    queues: true,
    owners: [1_879_048_200, 1_879_048_201, 1_879_048_201],
    gone: null,
  });
});
