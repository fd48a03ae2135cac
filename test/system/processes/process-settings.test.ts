import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  judgeProcessSettings,
  processSettings,
} from '../../../src/system/processes/process-settings.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const PID = 77;

/** A host's files, with a process that nobody changed unless `files` says otherwise. */
function host(t: TestContext, files: Record<string, string> = {}) {
  const top = tempDir(t);
  const status = 'Name:\tqemu\nCpus_allowed_list:\t0-3\n';
  const numbers = Array.from({ length: 50 }, () => '0');
  const all: Record<string, string> = {
    [`proc/${PID}/stat`]: `${PID} (qemu) odd) S ${numbers.join(' ')}`,
    [`proc/${PID}/oom_score_adj`]: '-500\n',
    'proc/self/oom_score_adj': '-500\n',
    'proc/self/status': status,
    'proc/self/cgroup': '0::/system.slice/godwit.service\n',
    [`proc/${PID}/cgroup`]: '0::/machine.slice/web1\n',
    [`proc/${PID}/task/77/status`]: status,
    [`proc/${PID}/task/78/status`]: status,
    'sys/devices/system/cpu/online': '0-3\n',
    'sys/fs/cgroup/machine.slice/web1/cpu.max': 'max 100000\n',
    'sys/fs/cgroup/machine.slice/web1/memory.max': 'max\n',
    ...files,
  };
  for (const [name, text] of Object.entries(all)) {
    mkdirSync(path.dirname(path.join(top, name)), { recursive: true });
    writeFileSync(path.join(top, name), text);
  }
  return processSettings(PID, { proc: path.join(top, 'proc'), sys: path.join(top, 'sys') });
}

test('an unchanged process has no settings, and neither has one that is gone', async (t) => {
  assert.deepEqual(await host(t), []);
  const top = tempDir(t);
  assert.deepEqual(await processSettings(PID, { proc: top, sys: top }), []);
  assert.deepEqual(judgeProcessSettings([]), []);
});

test('a thread with a separate policy or niceness is reported', async (t) => {
  const stat = (changed: Record<number, string>) =>
    `78 (CPU 0/KVM) S ${Array.from({ length: 50 }, (_, index) => changed[index] ?? '0').join(' ')}`;
  const settings = await host(t, {
    [`proc/${PID}/task/77/stat`]: stat({}),
    [`proc/${PID}/task/78/stat`]: stat({ 37: '1', 15: '-5' }),
    'sys/fs/cgroup/machine.slice/web1/cpu.uclamp.max': '50.00\n',
  });
  assert.deepEqual(settings, [
    'nice -5 of some threads',
    'scheduling policy 1 of some threads',
    'cgroup cpu.uclamp.max 50.00',
  ]);
});

test('a process is reported with its niceness, its processors, its OOM score and its cgroup', async (t) => {
  const fields = Array.from({ length: 50 }, (_, index) => (index === 15 ? '5' : '0'));
  const settings = await host(t, {
    [`proc/${PID}/stat`]: `${PID} (qemu) odd) S ${fields.join(' ')}`,
    [`proc/${PID}/oom_score_adj`]: '200\n',
    [`proc/${PID}/task/78/status`]: 'Cpus_allowed_list:\t2\n',
    'sys/fs/cgroup/machine.slice/web1/cpu.max': '50000 100000\n',
    'sys/fs/cgroup/machine.slice/web1/io.max': '8:0 rbps=1048576 wbps=max riops=max wiops=max\n',
  });
  assert.deepEqual(settings, [
    'nice 5',
    'oom_score_adj 200',
    '1 of 2 threads bound to processors 2 of 0-3',
    'cgroup cpu.max 50000 100000',
    'cgroup io.max 8:0 rbps=1048576 wbps=max riops=max wiops=max',
  ]);
  const [finding] = judgeProcessSettings(settings);
  assert.equal(finding?.verdict, 'warn');
});

test("a process that shares the agent's limits has none itself", async (t) => {
  const status = 'Cpus_allowed_list:\t0-1\n';
  const own = await host(t, {
    [`proc/${PID}/task/77/status`]: status,
    [`proc/${PID}/task/78/status`]: status,
    'proc/self/status': status,
    'proc/self/cgroup': '0::/machine.slice/web1\n',
    'sys/fs/cgroup/machine.slice/web1/cpu.max': '50000 100000\n',
  });
  assert.deepEqual(own, []);
});

test("the memory limit in a cgroup of Godwit is not its owner's", async (t) => {
  const settings = await host(t, {
    [`proc/${PID}/cgroup`]: '0::/godwit/1234\n',
    'sys/fs/cgroup/godwit/1234/memory.max': '1073741824\n',
    'sys/fs/cgroup/godwit/1234/cpu.weight': '50\n',
  });
  assert.deepEqual(settings, ['cgroup cpu.weight 50']);
});

test('a process is reported with its resource limits and its cgroups of version 1', async (t) => {
  const line = (name: string, soft: string): string =>
    `${name.padEnd(26)}${soft.padEnd(21)}unlimited  bytes`;
  const settings = await host(t, {
    [`proc/${PID}/limits`]: [
      line('Max cpu time', 'unlimited'),
      line('Max file size', '1073741824'),
      // Each manager gives its guests limits of their own.
      line('Max open files', '8192'),
    ].join('\n'),
    [`proc/${PID}/cgroup`]:
      '4:cpu,cpuacct:/machine/web1\n3:memory:/machine/web1\n2:pids:/machine\n',
    'sys/fs/cgroup/cpu,cpuacct/machine/web1/cpu.shares': '1024\n',
    'sys/fs/cgroup/cpu,cpuacct/machine/web1/cpu.cfs_quota_us': '50000\n',
    'sys/fs/cgroup/memory/machine/web1/memory.limit_in_bytes': '1073741824\n',
  });
  assert.deepEqual(settings, [
    'limit of file size 1073741824',
    'cgroup cpu.cfs_quota_us 50000',
    'cgroup memory.limit_in_bytes 1073741824',
  ]);
});
