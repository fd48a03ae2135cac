import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import type { QemuHandle } from '../../../../src/drivers/qemu/handle.ts';
import { startTicksOf } from '../../../../src/system/processes/process.ts';
import { attachStarted } from '../../../../src/drivers/qemu/process/launch.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

describe("a former mover's process", () => {
  test('a process counts as ended only once it has ended, though it closes its monitor before', async (context) => {
    const { place, handle, end } = await silent(context);
    const attached = attachStarted(place, handle, context.signal);
    // Its monitor is refused by then, or is refused to a process that is gone: neither is an error.
    setTimeout(end, 50);
    assert.equal(await attached, undefined);
    assert.equal(await attachStarted(place, handle, context.signal), undefined);
  });

  test('a process is out of reach, and not gone, if its monitor does not answer and it stays', async (context) => {
    const { place, handle } = await silent(context);
    await assert.rejects(attachStarted({ ...place, endsMs: 30 }, handle, context.signal), {
      code: 'GODWIT_MONITOR_UNREACHABLE',
    });
  });

  test('a process is waited for no longer than the caller waits', async (context) => {
    const { place, handle } = await silent(context);
    const signal = AbortSignal.timeout(20);
    await assert.rejects(attachStarted(place, handle, signal), { name: 'TimeoutError' });
  });
});

/** A process that lives and has nobody at its monitor. */
async function silent(context: TestContext) {
  const guestDir = tempDir(context);
  const child = spawn('sleep', ['60'], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const end = (): void => void child.kill('SIGKILL');
  context.after(async () => {
    end();
    await ended;
  });
  const { pid } = child;
  assert.ok(pid !== undefined);
  const startTicks = startTicksOf(pid);
  assert.ok(startTicks !== undefined);
  const monitor = path.join(guestDir, 'qmp.sock');
  const handle: QemuHandle = { driver: 'qemu', name: 'web1', pid, startTicks, monitor };
  return { place: { host: 'b', guest: 'web1', guestDir }, handle, end };
}
