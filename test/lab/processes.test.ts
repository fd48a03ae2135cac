import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { isAlive, startTicksOf } from '../../src/system/processes/process.ts';
import { endProcesses } from '../../lab/processes.ts';

async function sleeper(): Promise<{ pid: number; startTicks: number }> {
  const child = spawn('sleep', ['600'], { stdio: 'ignore' });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  return { pid, startTicks: startTicksOf(pid) ?? 0 };
}

test('a process that no longer shows its command line is awaited until it has ended', async () => {
  const known = [await sleeper()];
  await endProcesses(async () => [], { graceMs: 0, known });
  assert.deepEqual(known.map(isAlive), [false]);
});

test('a process that was listed once is awaited although the list no longer has it', async () => {
  const one = await sleeper();
  let lists = 0;
  await endProcesses(async () => ((lists += 1) === 1 ? [one] : []));
  assert.equal(isAlive(one), false);
});
