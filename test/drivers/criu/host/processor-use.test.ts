import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import {
  listedCount,
  ProcessorUses,
  quotaIn,
  sizeOf,
} from '../../../../src/drivers/criu/host/processor-use.ts';
import { removeTree } from '../../../../src/system/files/remove-tree.ts';

/** Files of both versions, in each place where this process is: its kernel has one of them. */
async function cgroups(t: TestContext, files: Readonly<Record<string, string>>): Promise<string> {
  const prefix = await mkdtemp(path.join(os.tmpdir(), 'godwit-use-'));
  t.after(() => removeTree(prefix));
  for (const line of (await readFile('/proc/self/cgroup', 'utf8')).trim().split('\n')) {
    const [, controllers = '', ...at] = line.split(':');
    for (const controller of controllers.split(',')) {
      const place = path.join(prefix, 'sys/fs/cgroup', controller, at.join(':'));
      await mkdir(place, { recursive: true });
      for (const [name, text] of Object.entries(files))
        await writeFile(path.join(place, name), text);
    }
  }
  return prefix;
}

const used = (s: number): Record<string, string> => ({
  'cpuacct.usage': `${s * 1e9}\n`,
  'cpu.stat': `usage_usec ${s * 1e6}\nuser_usec 1\n`,
});

test('a container without a limit counts by its weight and its use, and never as its whole host', () => {
  const free = { cpuset: 16, share: 1 };
  assert.equal(sizeOf(free, 16, 0), 1);
  assert.equal(sizeOf(free, 16, 2.2), 3);
  assert.equal(sizeOf({ ...free, share: 4 }, 16, 0.1), 4);
  assert.equal(sizeOf({ ...free, share: 64 }, 16, 0), 16);
});

test('a container with a quota or a set of processors counts as much as they permit', () => {
  assert.equal(sizeOf({ quota: 1.5, cpuset: 16, share: 1 }, 16, 0), 2);
  assert.equal(sizeOf({ quota: 0.2, cpuset: 16, share: 1 }, 16, 0), 1);
  assert.equal(sizeOf({ cpuset: 3, share: 1 }, 16, 0), 3);
  assert.equal(sizeOf({ quota: 8, cpuset: 3, share: 1 }, 16, 5), 3);
});

test('lists of processors and quotas are read as the kernel writes them', () => {
  assert.deepEqual(['0-3,7\n', '5', ''].map(listedCount), [5, 1, 0]);
  const quotas = ['max 100000\n', '50000 100000', '-1\n 100000\n', ''].map(quotaIn);
  assert.deepEqual(quotas, [undefined, 0.5, undefined, undefined]);
});

test('the use of a container is the mean since the last look, over all of its processes', async (t) => {
  const prefix = await cgroups(t, used(0));
  let nowMs = 0;
  const uses = new ProcessorUses(prefix, () => nowMs);
  assert.equal((await uses.of(process.pid)).usedCores, 0);
  const look = async (atMs: number, s: number) => {
    nowMs = atMs;
    const found = (await readFile('/proc/self/cgroup', 'utf8')).split('\n');
    for (const line of found.filter(Boolean)) {
      const [, controllers = '', at = ''] = line.split(':');
      for (const each of controllers.split(','))
        for (const [name, text] of Object.entries(used(s)))
          await writeFile(path.join(prefix, 'sys/fs/cgroup', each, at, name), text);
    }
    return (await uses.of(process.pid)).usedCores;
  };
  const most = os.availableParallelism();
  assert.equal(await look(10_000, 5), 0.5);
  // Too soon after that one to say anything.
  assert.equal(await look(11_000, 6), 0.5);
  assert.equal(await look(20_000, 7), 0.2);
  assert.equal(await look(30_000, 7 + 10 * (most + 1)), most);
  uses.keep(new Set());
  assert.equal(await look(31_000, 0), 0);
});

test('a container whose use is unknown has a size all the same', async (t) => {
  const uses = new ProcessorUses(await cgroups(t, {}));
  const found = await uses.of(process.pid);
  assert.equal(found.usedCores, undefined);
  assert.ok(found.vcpus >= 1);
});
