import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isOlder, judgeCgroups, judgeProcessor } from '../../../src/drivers/criu/assess.ts';
import { mountsBelow } from '../../../src/drivers/criu/files/mounts.ts';
import { cgroupsIn } from '../../../src/drivers/criu/host/cgroup.ts';
import { fileObstacle } from '../../../src/drivers/criu/files/open-files.ts';
import { regionsOf } from '../../../src/drivers/criu/pages/memory.ts';
import { readConfig } from '../../../src/drivers/criu/read-config.ts';
import { configOf, containerSpec } from '../../../src/drivers/criu/spec.ts';
import { containerConfig } from '../../../lab/container/config.ts';

const PLACE = { hostname: 'box', netns: '/run/netns/x', cgroup: '/x/box' };
const LOAD = { staticBytes: 1, dirtyBytes: 1, dirtyBytesPerSecond: 0 };
type Config = ReturnType<typeof containerConfig> & {
  process: Record<string, unknown>;
  linux: { namespaces: { type: string; path?: string }[] };
};
const config = (change: (config: Config) => object = (same) => same): string =>
  JSON.stringify(change(containerConfig(PLACE, LOAD) as Config));
const devices = (text: string): string[] =>
  readConfig(text).obstacles.map(({ device, hint }) => {
    assert.notEqual(hint, '', device);
    return device;
  });

test('a plain container is accepted, and is the same at the destination', () => {
  const { oci, netns, obstacles } = readConfig(config());
  assert.deepEqual(obstacles, []);
  assert.equal(netns, '/run/netns/x');
  assert.ok(oci);
  const again = readConfig(JSON.stringify(configOf(oci, '/run/netns/y', '/y/box')));
  assert.deepEqual(again.oci, oci);
  assert.equal(again.netns, '/run/netns/y');
});

test('each obstacle is named, with a way out', () => {
  const bind = { destination: '/data', type: 'bind', source: '/srv/data' };
  assert.deepEqual(devices(config((one) => ({ ...one, mounts: [bind] }))), ['/data']);
  const hidden = { ...bind, type: 'none', options: ['rbind'] };
  assert.deepEqual(devices(config((one) => ({ ...one, mounts: [hidden] }))), ['/data']);
  assert.deepEqual(devices(config((one) => ({ ...one, hooks: { prestart: [{ path: '/x' }] } }))), [
    'the hook x',
  ]);
  const terminal = (one: Config) => ({ ...one, process: { ...one.process, terminal: true } });
  assert.deepEqual(devices(config(terminal)), ['the terminal']);
  const systemd = (one: Config) => ({ ...one, process: { ...one.process, args: ['/sbin/init'] } });
  assert.deepEqual(devices(config(systemd)), ['/sbin/init']);
  const spaces = (change: (all: Config['linux']['namespaces']) => object[]) =>
    config((one) => ({ ...one, linux: { namespaces: change(one.linux.namespaces) } }));
  assert.deepEqual(devices(spaces((all) => [...all, { type: 'user' }])), ['the user namespace']);
  assert.deepEqual(devices(spaces((all) => all.filter(({ type }) => type !== 'ipc'))), [
    'the ipc namespace',
  ]);
  const pod = spaces((all) =>
    all.map((one) => (one.type === 'pid' ? { ...one, path: '/p' } : one)),
  );
  assert.deepEqual(devices(pod), ['the pid namespace']);
  const own = spaces((all) => all.map(({ type }) => ({ type })));
  assert.deepEqual(devices(own), ['the network namespace']);
  assert.deepEqual(devices('{'), ['config.json']);
});

test('limits and confinement that the destination would not set are named', () => {
  const linux = (more: object): string =>
    config((one) => ({ ...one, linux: { ...one.linux, ...more } }));
  const limits = {
    memory: { limit: 2 ** 26, swap: 2 ** 26 },
    pids: { limit: 9 },
    cpu: { quota: 50_000, shares: 0 },
    blockIO: { weight: 0 },
    devices: [{ allow: false, access: 'rwm' }],
    unified: { 'memory.high': '1' },
  };
  assert.deepEqual(devices(linux({ resources: limits })), [
    'linux.resources.memory.swap',
    'linux.resources.cpu.quota',
    'linux.resources.unified.memory.high',
  ]);
  const sysctl = { 'net.ipv4.ip_forward': '0' };
  assert.deepEqual(devices(linux({ sysctl, intelRdt: {}, rootfsPropagation: '' })), [
    'linux.sysctl',
  ]);
  const labels = { apparmorProfile: 'tight', selinuxLabel: '' };
  const labelled = config((one) => ({ ...one, process: { ...one.process, ...labels } }));
  assert.deepEqual(devices(labelled), ['process.apparmorProfile']);
  const selinux = { selinuxLabel: 'system_u:system_r:container_t:s0:c1,c2' };
  assert.deepEqual(
    devices(config((one) => ({ ...one, process: { ...one.process, ...selinux } }))),
    ['process.selinuxLabel'],
  );
  const spaces = config((one) => ({
    ...one,
    linux: { namespaces: [...one.linux.namespaces, { type: 'cgroup' }] },
  }));
  assert.deepEqual(devices(spaces), ['the cgroup namespace']);
});

test('an unlimited resource stays a value that runc reads', () => {
  const most = '18446744073709551615';
  const text = config((one) => ({
    ...one,
    process: { ...one.process, rlimits: [{ type: 'RLIMIT_CORE', hard: 'MAX', soft: 0 }] },
  })).replace('"MAX"', most);
  const { oci } = readConfig(text);
  assert.ok(oci);
  const again = JSON.stringify(configOf(oci, '/run/netns/y', '/y/box'));
  const hard = /"hard":(\d+)/.exec(again)?.[1] ?? '';
  assert.ok(BigInt(hard) <= BigInt(most) && BigInt(hard) >= 2n ** 62n, hard);
});

test('any configuration is read without a crash', () => {
  fc.assert(fc.property(fc.json(), (text) => void readConfig(text)));
  const some = fc.record({
    process: fc.object(),
    linux: fc.object(),
    mounts: fc.array(fc.object()),
  });
  fc.assert(fc.property(some, (given) => void readConfig(JSON.stringify(given))));
});

test('a description from another host names no path, hook or bind mount of this one', () => {
  const { oci } = readConfig(config());
  const spec = { oci, nics: [], layers: [], criu: '4.2.1', runc: '1.3.6', features: [] };
  assert.ok(containerSpec.safeParse(spec).success);
  const bind = { destination: '/x', type: 'bind', source: '/etc' };
  for (const bad of [
    { ...spec, hooks: {} },
    { ...spec, oci: { ...oci, mounts: [bind] } },
    { ...spec, oci: { ...oci, mounts: [{ ...bind, type: 'tmpfs' }] } },
    { ...spec, oci: { ...oci, mounts: [{ destination: '/x', type: 'proc', options: ['rbind'] }] } },
    {
      ...spec,
      oci: { ...oci, mounts: [{ destination: '/x', type: 'proc', options: ['ro,bind'] }] },
    },
    { ...spec, layers: ['../../etc'] },
  ]) {
    assert.ok(!containerSpec.safeParse(bad).success, JSON.stringify(bad).slice(0, 80));
  }
});

test('standard streams that stay on the host, io_uring and unsupported GPUs are found', () => {
  assert.equal(fileObstacle(7, 'anon_inode:[io_uring]')?.device, 'io_uring');
  assert.equal(fileObstacle(9, '/dev/nvidia0'), undefined);
  assert.equal(fileObstacle(9, '/dev/dri/renderD128')?.type, 'GPU');
  assert.equal(fileObstacle(1, 'pipe:[123]')?.device, 'standard output');
  assert.equal(fileObstacle(0, '/dev/pts/3')?.device, 'standard input');
  assert.equal(fileObstacle(2, '/dev/null'), undefined);
  assert.equal(fileObstacle(9, 'pipe:[123]'), undefined);
});

test('a device of the host is refused by its path', () => {
  const made = [{ path: '/dev/fuse', type: 'c', major: 10, minor: 229 }];
  const text = config((one) => ({ ...one, linux: { ...one.linux, devices: made } }));
  assert.deepEqual(devices(text), ['/dev/fuse']);
});

test('a system call filter that asks a program of the host is refused for that reason', () => {
  const seccomp = {
    defaultAction: 'SCMP_ACT_ALLOW',
    syscalls: [{ names: ['mount'], action: 'SCMP_ACT_NOTIFY' }],
  };
  const { oci, obstacles } = readConfig(
    config((one) => ({ ...one, linux: { ...one.linux, seccomp } })),
  );
  assert.equal(oci, undefined);
  assert.deepEqual(
    obstacles.map(({ device, type }) => [device, type]),
    [['linux.seccomp', 'seccomp']],
  );
});

test('a host with another cgroup version is refused by both versions; a cold move is not', () => {
  const where = { host: 'b', guest: 'box', memoryBytes: 4096 };
  const [found] = judgeCgroups({ ...where, cgroups: 2 }, 1);
  assert.deepEqual([found?.name, found?.error?.code], ['machine', 'GODWIT_DEVICE_UNMAPPED']);
  assert.match(
    found?.error?.message ?? '',
    /b has cgroups of version 1, and its source of version 2/,
  );
  assert.match(found?.error?.hint ?? '', /unified_cgroup_hierarchy=1/);
  assert.deepEqual(judgeCgroups({ ...where, cgroups: 1 }, 1), []);
  assert.deepEqual(judgeCgroups({ ...where, cgroups: 2, memoryBytes: 0 }, 1), []);
  // An earlier build does not say.
  assert.deepEqual(judgeCgroups({ ...where, cgroups: cgroupsIn('runc 1.3.6, criu 4.2.1') }, 2), []);
  assert.equal(cgroupsIn('runc 1.3.6, criu 4.2.1, cgroups 2'), 2);
});

test('versions of CRIU are compared by their first two numbers', () => {
  assert.ok(isOlder('4.1', '4.2.1') && isOlder('3.17.1', '4.0'));
  assert.ok(!isOlder('4.2.1', '4.2') && !isOlder('4.2', '4.2.1') && !isOlder('5.0', '4.9'));
});

test('the mappings of a dump are read', () => {
  const maps = [
    '5580-5590 r-xp 00000000 fe:00 12 /bin/node',
    '7f00-7f10 rw-p 00000000 00:00 0 ',
    '7f20-7f30 rw-s 00000000 00:01 9 /memfd:x (deleted)',
    '7f40-7f50 rw-s 00000000 fe:00 13 /srv/file',
    '7f60-7f70 ---p 00000000 00:00 0 ',
    '7f80-7f90 r-xp 00000000 00:00 0 [vdso]',
    'nonsense',
  ].join('\n');
  assert.deepEqual(
    regionsOf(maps).map(({ from, shared }) => [from, shared]),
    [
      [0x5580, false],
      [0x7f00, false],
      [0x7f20, true],
    ],
  );
});

test('mounts below a directory, and no others, are found, the deepest first', () => {
  const line = (point: string): string => `36 35 0:1 / ${point} rw - tmpfs tmpfs rw`;
  const table = ['/a', '/a/b', '/a/b/c', '/ab', '/'].map(line).join('\n');
  assert.deepEqual(mountsBelow(table, '/a'), ['/a/b/c', '/a/b', '/a']);
  assert.deepEqual(mountsBelow(line(String.raw`/my\040vms/box`), '/my vms'), ['/my vms/box']);
});

test('a host that lacks a processor feature of the source is refused by that feature', () => {
  const where = { host: 'b', guest: 'box' };
  const judge = (offered: string[]) =>
    judgeProcessor({ features: ['avx', 'sse2'] }, where, offered);
  assert.equal(judge(['avx', 'avx2', 'sse2']).verdict, 'pass');
  const older = judge(['sse2']);
  assert.deepEqual([older.verdict, older.error?.code], ['refuse', 'GODWIT_CPU_FEATURE']);
  assert.match(older.error?.message ?? '', /box .*: avx$/);
});
