import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  cgroupCheck,
  hierarchiesIn,
  inCgroup,
  limitsFor,
  removeCgroup,
} from '../../../../src/drivers/qemu/user/cgroup.ts';
import { startTicksOf } from '../../../../src/system/processes/process.ts';
import type { GuestSpec } from '../../../../src/drivers/qemu/spec/schema.ts';
import { tempDir } from '../../../rpc/test-contract.ts';

const GIB = 1024 ** 3;
const WANTED = { memoryMarginBytes: 4 * GIB, tasks: 4096 };
const LARGE = { memoryBytes: 2 ** 52, tasks: 2 ** 22 };
const V1 = `36 25 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
37 25 0:33 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
41 25 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw`;
const V2 = '25 24 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate';

/** What of a description is counted. */
function spec(parts: {
  ram?: readonly number[];
  bytes?: number;
  maxBytes?: number;
  cpus?: number;
  maxcpus?: number;
  iothreads?: number;
}): GuestSpec {
  const { ram = [], bytes = GIB, maxBytes, cpus = 1, maxcpus, iothreads = 0 } = parts;
  return {
    ramBlocks: ram.map((each, index) => ({ name: `ram${index}`, bytes: each })),
    memory: { bytes, ...(maxBytes === undefined ? {} : { maxBytes }) },
    smp: { cpus, ...(maxcpus === undefined ? {} : { maxcpus }) },
    objects: Array.from({ length: iothreads }, (_, index) => ({
      type: 'iothread',
      id: `io${index}`,
      props: {},
    })),
  } as unknown as GuestSpec;
}

describe('the limits of a guest’s cgroup', () => {
  test("the limits leave the host memory and processes, whatever the guest's description allows", () => {
    const count = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(fc.array(count), count, count, count, (ram, maxBytes, maxcpus, iothreads) => {
        const said = spec({ ram, maxBytes, maxcpus, iothreads: iothreads % 1024 });
        const host = { memoryBytes: 64 * GIB, tasks: 32_768 };
        const limits = limitsFor(said, WANTED, host);
        assert.ok(limits.memoryBytes <= 60 * GIB);
        assert.ok(limits.tasks <= 8192);
      }),
    );
  });

  test('the limits are otherwise above everything the guest can have, by a quarter and the margin', () => {
    const size = fc.integer({ min: 1024 ** 2, max: 2 ** 44 });
    fc.assert(
      fc.property(
        fc.array(size, { maxLength: 8 }),
        size,
        fc.option(size, { nil: undefined }),
        fc.integer({ min: 1, max: 1024 }),
        fc.integer({ min: 0, max: 64 }),
        (ram, bytes, maxBytes, cpus, iothreads) => {
          const more = maxBytes === undefined ? {} : { maxBytes };
          const limits = limitsFor(spec({ ram, bytes, cpus, iothreads, ...more }), WANTED, LARGE);
          const sum = ram.reduce((all, each) => all + each, 0);
          for (const most of [sum, bytes, maxBytes ?? 0]) {
            assert.ok(limits.memoryBytes >= most * 1.25 + 4 * GIB);
          }
          assert.ok(Number.isSafeInteger(limits.memoryBytes));
          assert.ok(limits.tasks >= 4096 + cpus + 64 * iothreads);
        },
      ),
    );
  });
});

describe('the cgroups of this host', () => {
  test('the cgroups are v2 from its root if it has both controllers', () => {
    const [found, ...more] =
      hierarchiesIn(V2, '0::/system.slice/godwit.service', () => 'pids memory io') ?? [];
    assert.deepEqual(more, []);
    assert.equal(found?.parent, '/sys/fs/cgroup/godwit');
    assert.deepEqual(found.enable, [
      '/sys/fs/cgroup/cgroup.subtree_control',
      '/sys/fs/cgroup/godwit/cgroup.subtree_control',
    ]);
    assert.deepEqual(found.files, { memoryBytes: 'memory.max', tasks: 'pids.max' });
  });

  test("the cgroups are v1 below this process's own if v2 has no controllers", () => {
    const own = '9:name=systemd:/\n8:pids:/\n4:memory:/process/one\n0::/';
    const found = hierarchiesIn(V1, own, () => '') ?? [];
    assert.deepEqual(
      found.map(({ parent, files }) => [parent, files]),
      [
        ['/sys/fs/cgroup/memory/process/one/godwit', { memoryBytes: 'memory.limit_in_bytes' }],
        ['/sys/fs/cgroup/pids/godwit', { tasks: 'pids.max' }],
      ],
    );
  });

  test('the cgroups are absent if none is mounted, or if one controller is missing', () => {
    assert.equal(
      hierarchiesIn('', '0::/', () => ''),
      undefined,
    );
    assert.equal(
      hierarchiesIn(V2, '0::/', () => 'io pids'),
      undefined,
    );
    assert.equal(
      hierarchiesIn(V1.split('\n')[0] ?? '', '4:memory:/', () => ''),
      undefined,
    );
  });
});

const isPossible = cgroupCheck(WANTED).verdict === 'pass';
const skip = isPossible ? false : 'this machine has no cgroups that we may make';

describe('a guest’s cgroup', { skip }, () => {
  test('a cgroup holds its QEMU from its first instruction on, with its children, and is removed with them', async (t) => {
    const guestDir = path.join(tempDir(t), 'web1');
    mkdirSync(guestDir);
    t.after(() => removeCgroup(guestDir));
    // What it starts outlives it.
    const script = 'cat /proc/self/cgroup; sleep 60 >/dev/null & echo $!';
    const plain = { file: '/bin/sh', argv: ['-c', script] };
    const { file, argv } = inCgroup(guestDir, { memoryBytes: GIB, tasks: 5 }, plain);
    const said = await outputOf(file, argv);
    const own = said.split('\n').filter((line) => line.includes('/godwit/web1.'));
    assert.ok(own.length > 0, said);
    const pid = Number(said.trim().split('\n').at(-1));
    assert.notEqual(startTicksOf(pid), undefined);
    await removeCgroup(guestDir);
    assert.equal(startTicksOf(pid), undefined);
    const again = await outputOf('/bin/sh', ['-c', 'cat /proc/self/cgroup']);
    assert.ok(!again.includes('web1.'));
  });

  test("a cgroup limits its QEMU's children, and their memory", async (t) => {
    const guestDir = path.join(tempDir(t), 'web1');
    mkdirSync(guestDir);
    t.after(() => removeCgroup(guestDir));
    const limits = { memoryBytes: 64 * 1024 ** 2, tasks: 8 };
    const forks = 'for each in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo all';
    const many = inCgroup(guestDir, limits, { file: '/bin/sh', argv: ['-c', forks] });
    assert.doesNotMatch(await outputOf(many.file, many.argv), /all/);
    await removeCgroup(guestDir);
    const take =
      'const all = []; for (let i = 0; i < 512; i++) all.push(Buffer.alloc(2**20, 1)); console.log("all")';
    const much = inCgroup(
      guestDir,
      { ...limits, tasks: 64 },
      { file: process.execPath, argv: ['-e', take] },
    );
    assert.doesNotMatch(await outputOf(much.file, much.argv), /all/);
  });

  test('a cgroup exists for each guest directory, even for two of the same name', async (t) => {
    const dirs = [path.join(tempDir(t), 'web1'), path.join(tempDir(t), 'web1')];
    const limits = { memoryBytes: GIB, tasks: 64 };
    const plain = { file: '/bin/sh', argv: ['-c', 'cat /proc/self/cgroup'] };
    const said: string[] = [];
    for (const dir of dirs) {
      mkdirSync(dir);
      const { file, argv } = inCgroup(dir, limits, plain);
      said.push(await outputOf(file, argv));
      await removeCgroup(dir);
    }
    assert.notEqual(said[0], said[1]);
  });
});

test('a host without cgroups causes a warning, and one configured without them does not', () => {
  assert.equal(cgroupCheck('none').verdict, 'pass');
  const { verdict, evidence } = cgroupCheck(WANTED);
  if (verdict === 'warn') assert.match(evidence, /no bound/);
  else assert.equal(verdict, 'pass');
});

async function outputOf(file: string, argv: readonly string[]): Promise<string> {
  const child = spawn(file, argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  await once(child, 'exit');
  child.stdout.destroy();
  return text;
}
