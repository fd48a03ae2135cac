import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { buildArgv, type Placement } from '../../../../../src/drivers/qemu/spec/argv.ts';
import { CHIPS } from '../../../../../src/drivers/qemu/spec/grammar/options.ts';
import {
  DEVICE_TYPES,
  propertiesOf,
} from '../../../../../src/drivers/qemu/spec/grammar/devices.ts';
import { isKind } from '../../../../../src/drivers/qemu/spec/grammar/kinds.ts';
import { kindOfProperty } from '../../../../../src/drivers/qemu/spec/grammar/properties.ts';
import { judgeDescription, guestSpec } from '../../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { isOwnFile } from '../../../../../src/drivers/qemu/spec/names.ts';
import { CARRIED_OPTIONS, type GuestSpec } from '../../../../../src/drivers/qemu/spec/schema.ts';
import { description, OPTION_VALUES } from './descriptions.ts';
import { mutate, mutations } from './hostile.ts';
import { objections } from './witness.ts';

const ROOT = path.join(import.meta.dirname, '../../../../..');
const RUNS = 3000;
const HOST = {
  guestDir: '/guests/web1',
  logDir: '/logs/web1',
  paths: new Set(['/images/vmlinuz', '/disks/0.qcow2', '/guests/web1/qemu.pid']),
  taps: new Set(['tap0']),
};
const [sample] = fc.sample(description, { numRuns: 1, seed: 7 });
assert.ok(sample);

function placeOf(spec: GuestSpec, pipes: boolean): Placement {
  const nodes = (spec.blockNodes ?? []).map(({ node }) => [node, '/disks/0.qcow2'] as const);
  return {
    guest: 'web1',
    guestDir: HOST.guestDir,
    logDir: HOST.logDir,
    images: new Map([['kernel', '/images/vmlinuz']]),
    romfiles: new Map(),
    disks: new Map(nodes),
    ports: new Map(spec.netdevs.map(({ id }) => [id, 'tap0'])),
    features: ['avx', 'sse2'],
    vhost: true,
    nodes: new Set([0]),
    pipes,
  };
}

const witnessed = (spec: GuestSpec, pipes: boolean): string[] =>
  objections(buildArgv(spec, placeOf(spec, pipes)), { ...HOST, pipes });

describe('an accepted description', () => {
  test("an accepted description yields a command line of Godwit's own options with typed values", () => {
    fc.assert(
      fc.property(description, fc.boolean(), (spec, pipes) => {
        assert.deepEqual(judgeDescription(spec), []);
        assert.deepEqual(witnessed(guestSpec.parse(spec), pipes), []);
      }),
      { numRuns: RUNS },
    );
  });

  test('a modified description yields such a command line, too, or is refused', () => {
    let taken = 0;
    fc.assert(
      fc.property(description, mutations, fc.boolean(), (spec, changes, pipes) => {
        const parsed = guestSpec.safeParse(mutate(spec, changes));
        if (!parsed.success) return;
        taken += 1;
        assert.deepEqual(witnessed(parsed.data, pipes), []);
      }),
      { numRuns: RUNS * 2 },
    );
    assert.ok(taken > RUNS / 50, `only ${taken} were taken: the mutations test nothing`);
  });

  test('an accepted description has no property without a type', () => {
    const all = [...DEVICE_TYPES, ...CHIPS.keys()].flatMap((type) => [
      ...(propertiesOf(type) ?? CHIPS.get(type) ?? []),
    ]);
    assert.deepEqual(
      all.filter((name) => !isKind(kindOfProperty(name))),
      [],
    );
  });

  test('the generated descriptions cover every option that travels', () => {
    assert.deepEqual(Object.keys(OPTION_VALUES).toSorted(), [...CARRIED_OPTIONS].toSorted());
  });
});

describe('a description', () => {
  const refusals = (change: Partial<GuestSpec>): string[] => {
    const parsed = guestSpec.safeParse({ ...sample, ...change });
    return parsed.success
      ? []
      : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
  const option = (name: string, value?: string): string[] =>
    refusals({
      options: [{ name, ...(value === undefined ? {} : { value }) }] as GuestSpec['options'],
      devices: [],
    });
  const device = (driver: string, props: GuestSpec['devices'][number]['props']): string[] =>
    refusals({ devices: [{ driver, props }] });

  test('a flag has no value, which QEMU would open as a disk', () => {
    assert.deepEqual(option('nodefaults'), []);
    assert.match(option('nodefaults', '/dev/sda')[0] ?? '', /^options\.0: -nodefaults: .*no value/);
    assert.match(option('usb', 'secret.img')[0] ?? '', /no value/);
  });

  test('a property with another name than file cannot name a file of the host', () => {
    for (const [type, name] of [
      ['ipmi-bmc-sim', 'frudatafile'],
      ['ipmi-bmc-sim', 'sdrfile'],
      ['usb-kbd', 'pcap'],
      ['virtio-net-pci', 'romfile'],
      ['virtio-net-pci', 'ebpf-rss-fds'],
    ] as const) {
      assert.match(device(type, { [name]: '/etc/shadow' })[0] ?? '', /allowed is/);
    }
    assert.match(device('pvrdma', { ibdev: 'mlx5_0' })[0] ?? '', /^devices\.0\.driver/);
    assert.match(device('hv-syndbg', { host_ip: '10.0.0.1' })[0] ?? '', /^devices\.0\.driver/);
    assert.deepEqual(device('virtio-net-pci', { romfile: '' }), []);
  });

  test('a description sets one property of one known type with -global', () => {
    assert.deepEqual(option('global', 'ICH9-LPC.disable_s3=1'), []);
    assert.deepEqual(option('global', 'driver=cfi.pflash01,property=secure,value=on'), []);
    for (const value of [
      'driver=e1000,property=mac,value=/etc/shadow,property=romfile',
      'driver=e1000,property=init-vet,property=romfile,value=/etc/shadow',
      'e1000.romfile=/etc/shadow',
      'usb-kbd.pcap=/etc/shadow',
      'migration.tls-creds=x',
      'x.y=z',
    ]) {
      assert.match(option('global', value)[0] ?? '', /allowed is/, value);
    }
  });

  test('a key appears once in an option, because the second would win unseen', () => {
    assert.match(option('boot', 'menu=off,menu=on')[0] ?? '', /said once/);
    assert.deepEqual(option('smbios', 'type=11,value=a,value=b'), []);
    assert.match(option('smbios', 'type=11,value=a,path=/etc/shadow')[0] ?? '', /one of value/);
  });

  test("a description connects nothing of the guest to Godwit's own monitor", () => {
    const backend = { kind: 'chardev', id: 'godwit-oob' } as const;
    assert.match(refusals({ ports: [{ option: 'serial', backend }] })[0] ?? '', /character device/);
    assert.match(device('isa-serial', { chardev: 'compat_monitor0' })[0] ?? '', /allowed is/);
    const own = { id: 'godwit-oob', backend: { kind: 'null' } } as const;
    assert.match(
      refusals({ chardevs: [...(sample.chardevs ?? []), own] }).join(),
      /none of Godwit/,
    );
  });

  test("a file cannot replace one of Godwit's, or appear twice", () => {
    for (const name of ['qmp.sock', 'qemu.pid', 'oob.in', 'disks.sock', 'godwit-resume.sock']) {
      const ports = [{ option: 'serial', backend: { kind: 'socket', name, mux: false } }] as const;
      assert.match(refusals({ ports: [...ports] })[0] ?? '', /directory/, name);
    }
    const twice = [
      { kind: 'qmp', name: 'second.sock' },
      { kind: 'hmp', name: 'second.sock' },
    ] as const;
    assert.match(refusals({ monitors: [...twice] })[0] ?? '', /^monitors\.1\.name/);
  });

  test("every file that Godwit keeps in a guest's directory is known", () => {
    const sources = globSync('src/{mover,drivers,agent}/**/*.ts', { cwd: ROOT });
    const kept = sources.flatMap((file) => [
      ...readFileSync(path.join(ROOT, file), 'utf8').matchAll(
        /'guests', [\w.]+, '([^']+)'|join\((?:\w+\.)?guestDir, '([^']+)'/g,
      ),
    ]);
    const names = kept.map(([, one, other]) => one ?? other ?? '');
    assert.ok(names.includes('wire.sock'), 'the search finds nothing');
    assert.deepEqual(
      names.filter((name) => !isOwnFile(name)),
      [],
    );
  });

  test('a NIC gets the MAC address that its port is created for', () => {
    const mac = '52:54:00:00:00:99';
    assert.match(device('e1000', { netdev: 'n0', mac }).join(), /^netdevs\.0\.mac: n0/);
    const own = sample.netdevs[0];
    assert.ok(own?.type === 'tap');
    assert.deepEqual(device('e1000', { netdev: 'n0', mac: own.mac }), []);
  });

  test('a description refers only to its own parts', () => {
    assert.match(device('virtio-blk-pci', { drive: 'another' })[0] ?? '', /the id of a disk/);
    assert.match(
      device('virtio-blk-pci', { drive: 'node-0', iothread: 'io9' })[0] ?? '',
      /iothread/,
    );
    assert.deepEqual(device('virtio-blk-pci', { drive: 'node-0', iothread: 'io1' }), []);
  });

  test('a refusal names the refused part, and the values allowed there', () => {
    assert.deepEqual(device('virtio-net-pci', { mac: 'x' }), [
      'devices.0.props.mac: virtio-net-pci.mac: allowed is a MAC address',
    ]);
  });
});
