import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { endingMsOf, killProcess } from '../../../../src/drivers/qemu/guest/process.ts';
import { startTicksOf } from '../../../../src/system/processes/process.ts';

test('a process may take longer to end the more memory it has, and no time if it is gone', async (t) => {
  const script = `const held = Buffer.alloc(256 * 2 ** 20, 1); console.log('has'); setInterval(() => held, 1000);`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  const identity = { pid, startTicks: startTicksOf(pid) ?? 0 };
  const small = endingMsOf({ pid: process.pid, startTicks: 0 });
  assert.ok(endingMsOf(identity) >= 250 && endingMsOf(identity) < 1000);
  assert.ok(small > 0);
  const exited = once(child, 'exit');
  await killProcess(identity, 5000, AbortSignal.timeout(10_000));
  await exited;
  assert.equal(startTicksOf(pid), undefined);
  assert.equal(endingMsOf(identity), 0);
});
