import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { matchHost, nicsOf, readSpec } from '../../../src/drivers/qemu/assess.ts';
import type { QemuProgram } from '../../../src/drivers/qemu/programs/binaries.ts';
import { ImageStore } from '../../../src/drivers/qemu/images/images.ts';
import type { GuestSpec } from '../../../src/drivers/qemu/spec/schema.ts';
import type { NamedCheck } from '../../../src/migration/preflight/check.ts';
import type { GuestDescription, StreamSettings } from '../../../src/protocol/peer/migration.ts';
import { emptySpec } from './spec/samples.ts';

const SPEC = emptySpec();
const CPU: NonNullable<GuestSpec['cpu']> = {
  model: 'qemu64',
  identity: {},
  features: ['sse2', 'avx512f'],
  switches: {},
  words: [],
};
const PROGRAM: QemuProgram = {
  binary: '/usr/bin/qemu',
  version: '7.2.22',
  arch: 'x86_64',
  machineTypes: ['pc-q35-7.2'],
  capabilities: ['events', 'return-path', 'pause-before-switchover', 'postcopy-ram'],
  multifdCompression: ['none', 'zstd'],
  sandbox: true,
  rdma: false,
  features: { tcg: ['sse2'] },
};
const PRECOPY: StreamSettings = { mode: 'precopy', streams: 1, compress: 'none', tls: true };
const options = {
  host: 'b',
  guest: 'web1',
  guestDir: '/run/none',
  networks: {},
  listenHost: '127.0.0.1',
  ports: { from: 1, to: 2 },
};

const described = (spec: unknown, version = '7.2.22'): GuestDescription => ({
  driver: 'qemu',
  name: 'web1',
  memoryBytes: SPEC.memory.bytes,
  vcpus: 1,
  hypervisorVersion: version,
  spec,
});

interface Case {
  readonly spec?: Partial<GuestSpec>;
  readonly program?: Partial<QemuProgram>;
  readonly programs?: readonly QemuProgram[];
  readonly stream?: Partial<StreamSettings>;
  readonly version?: string;
  readonly isCold?: boolean;
}

function match(given: Case = {}) {
  const programs = given.programs ?? [{ ...PROGRAM, ...given.program }];
  return matchHost(
    described({ ...SPEC, ...given.spec }, given.version),
    { ...PRECOPY, ...given.stream },
    { ...options, isCold: given.isCold ?? false },
    {
      programs,
      store: new ImageStore('/run/none/cache'),
      imageDirs: [],
      disks: new Map(),
      user: 'agent',
      luksKeyDir: undefined,
    },
    new AbortController().signal,
  );
}

const checksOf = async (given?: Case): Promise<readonly NamedCheck[]> =>
  (await match(given)).checks;
const one = async (name: NamedCheck['name'], given?: Case): Promise<NamedCheck | undefined> =>
  (await checksOf(given)).find((check) => check.name === name);

describe('a description of a peer', () => {
  test('a valid description is read as it came', () => {
    assert.deepEqual(readSpec(described(SPEC), { host: 'b', guest: 'web1' }), SPEC);
  });

  test('a description with a wrong shape is refused with the name of the host that sent it', () => {
    const read = (from?: string) => () =>
      readSpec(described({ ...SPEC, format: 2 }), {
        host: 'b',
        guest: 'web1',
        ...(from === undefined ? {} : { from }),
      });
    assert.throws(read('a'), { code: 'GODWIT_PROTOCOL_INVALID', message: /\ba\b.*format/s });
    assert.throws(read(), { code: 'GODWIT_PROTOCOL_INVALID', message: /the source/ });
  });

  test("a description with a part outside of the grammar is refused with the part's name", () => {
    const options = [{ name: 'boot', value: 'splash=/etc/shadow' }];
    assert.throws(() => readSpec(described({ ...SPEC, options }), { host: 'b', guest: 'web1' }), {
      code: 'GODWIT_DESCRIPTION_REFUSED',
      message: /options\.0/,
    });
  });

  test('a description that would have more memory than it reports is refused', () => {
    const lying = { ...described(SPEC), memoryBytes: 1024 ** 2 };
    assert.throws(() => readSpec(lying, { host: 'b', guest: 'web1' }), {
      code: 'GODWIT_DESCRIPTION_REFUSED',
    });
  });
});

describe('the program for a guest', () => {
  test('the program passes with its version, and a plain guest has no other finding', async () => {
    const checks = await checksOf();
    assert.deepEqual(
      checks.map(({ name, verdict }) => `${name} ${verdict}`),
      ['machine pass', 'stream pass'],
    );
    assert.match(checks[0]?.evidence ?? '', /pc-q35-7\.2 on QEMU 7\.2\.22 with tcg/);
  });

  test("a program that is older than the source's causes a warning", async () => {
    const check = await one('machine', { version: '8.0.0' });
    assert.equal(check?.verdict, 'warn');
    assert.match(check?.evidence ?? '', /older than the source’s 8\.0\.0/);
    assert.match(check?.hint ?? '', /Install QEMU 8\.0\.0 or later on b/);
  });

  test('an older program is refused if QEMU keeps no versions of the machine, and a newer one causes a warning', async () => {
    const spec = { machine: { type: 'isapc', props: {} } };
    const program = { machineTypes: ['isapc'] };
    const older = await one('machine', { version: '8.0.0', spec, program });
    assert.equal(older?.error?.code, 'GODWIT_MACHINE_DIFFERS');
    assert.match(older?.error?.hint ?? '', /Install QEMU 8\.0\.0 on b/);
    const newer = await one('machine', { version: '6.2.0', spec, program });
    assert.equal(newer?.verdict, 'warn');
    assert.match(newer?.evidence ?? '', /web1 cannot go back to QEMU 6\.2\.0/);
    assert.equal((await one('machine', { version: '7.2.22', spec, program }))?.verdict, 'pass');
    // A correction of the same release sends the same.
    assert.equal((await one('machine', { version: '7.2.19', spec, program }))?.verdict, 'pass');
    assert.equal((await one('machine', { version: '7.2.30', spec, program }))?.verdict, 'warn');
  });

  test('an unknown machine type is refused, and no check that needs a program is made', async () => {
    const found = await match({ program: { machineTypes: [] }, spec: { cpu: CPU } });
    assert.equal(found.program, undefined);
    assert.deepEqual(
      found.checks.map(({ name, error }) => [name, error?.code]),
      [['machine', 'GODWIT_MACHINE_TYPE']],
    );
  });

  test('a missing accelerator is refused', async () => {
    const accelerator = { name: 'kvm', props: {} } as const;
    const [check] = await checksOf({ spec: { accelerator } });
    assert.deepEqual([check?.name, check?.error?.code], ['accelerator', 'GODWIT_ACCELERATOR']);
  });

  test('a program without a system call filter causes a warning', async () => {
    const check = await one('sandbox', { program: { sandbox: false } });
    assert.equal(check?.verdict, 'warn');
    assert.match(check?.evidence ?? '', /\/usr\/bin\/qemu was built without seccomp/);
  });
});

describe('the processor of a guest', () => {
  test('a processor with a missing feature is refused, and offers of another accelerator do not count', async () => {
    const features = { tcg: ['sse2'], kvm: ['sse2', 'avx512f'] };
    const found = await match({ spec: { cpu: CPU }, program: { features } });
    const check = found.checks.find(({ name }) => name === 'processor');
    assert.equal(check?.verdict, 'refuse');
    assert.deepEqual(found.spec.cpu?.features, CPU.features);
    const offered = { tcg: ['sse2', 'avx512f'] };
    const passing = await one('processor', { spec: { cpu: CPU }, program: { features: offered } });
    assert.equal(passing?.verdict, 'pass');
  });

  test('the processor check uses the features of the program, whatever the processor of the host has', async () => {
    const cpu = { ...CPU, features: ['sse2', 'no-processor-has-this'] };
    const features = { tcg: cpu.features };
    const given = await one('processor', { spec: { cpu }, program: { features } });
    assert.equal(given?.verdict, 'pass');
    // Every processor of these hosts has SSE2.
    const lacking = { tcg: ['no-processor-has-this'] };
    const refused = await one('processor', { spec: { cpu }, program: { features: lacking } });
    assert.equal(refused?.error?.facts?.['features'], 'sse2');
  });

  test('the processor may differ after a cold start: missing features are left out', async () => {
    const found = await match({ spec: { cpu: CPU }, isCold: true });
    assert.deepEqual(found.spec.cpu?.features, ['sse2']);
    assert.equal(found.checks.find(({ name }) => name === 'processor')?.verdict, 'warn');
  });
});

describe('post-copy on a host that does not allow it', () => {
  const obstacle = { postcopyObstacle: 'Postcopy is not supported' };
  const refusals = async (given: Case) =>
    (await checksOf(given)).filter(
      ({ name, verdict }) => name === 'stream' && verdict === 'refuse',
    );

  test('post-copy is refused with a remedy; QEMU before 8.0 uses only the system call', async () => {
    const [old] = await refusals({ program: obstacle, stream: { mode: 'postcopy' } });
    assert.equal(old?.error?.code, 'GODWIT_CAPABILITY');
    assert.match(old?.evidence ?? '', /--mode postcopy.*QEMU before 8\.0/s);
    assert.match(old?.error?.hint ?? '', /install QEMU 8\.0/);
    const program = { ...obstacle, version: '8.0.0' };
    const [recent] = await refusals({ program, version: '8.0.0', stream: { mode: 'hybrid' } });
    assert.match(recent?.evidence ?? '', /\/dev\/userfaultfd/);
    assert.doesNotMatch(recent?.error?.hint ?? 'none', /install QEMU/);
  });

  test('post-copy is refused for each missing thing', async () => {
    const program = { ...obstacle, capabilities: PROGRAM.capabilities.slice(0, -1) };
    assert.equal((await refusals({ program, stream: { mode: 'postcopy' } })).length, 2);
  });

  test('a missing permission does not hinder pre-copy, and post-copy passes without an obstacle', async () => {
    assert.deepEqual(await refusals({ program: obstacle }), []);
    assert.deepEqual(await refusals({ stream: { mode: 'postcopy' } }), []);
  });
});

describe('the NICs of a guest', () => {
  const tap = (id: string, change: object = {}) =>
    ({
      type: 'tap',
      id,
      bridge: 'br0',
      mac: '52:54:00:00:00:01',
      vhost: false,
      queues: 1,
      ...change,
    }) as const;
  const spec = {
    ...SPEC,
    netdevs: [
      tap('n0'),
      tap('n1', { queues: 2, bridge: 'br1' }),
      tap('n2', { bridge: undefined, queues: 4 }),
      { type: 'hubport', id: 'h0', hubid: 0 },
    ],
  } as const;

  test('each NIC joins the bridge that the configuration maps it to, else one of the same name', () => {
    const mac = '52:54:00:00:00:01';
    assert.deepEqual(
      nicsOf(spec as unknown as GuestSpec, { ...options, networks: { br0: 'lan' } }),
      [
        { id: 'n0', mac, bridge: 'lan' },
        { id: 'n1', mac, bridge: 'br1', multiQueue: true },
        { id: 'n2', mac, multiQueue: true },
      ],
    );
  });

  test('a NIC is refused if no such bridge exists, or if a link of that name is not a bridge', async () => {
    const netdevs = [tap('n0', { bridge: 'nosuchbridge' }), tap('n1', { bridge: 'lo' })];
    const checks = await checksOf({ spec: { netdevs: netdevs } });
    const network = checks.filter(({ name }) => name === 'network');
    assert.deepEqual(
      network.map(({ error }) => error?.code),
      ['GODWIT_DEVICE_UNMAPPED', 'GODWIT_DEVICE_UNMAPPED'],
    );
    assert.match(network[0]?.evidence ?? '', /n0.*there is no bridge nosuchbridge/s);
  });
});
