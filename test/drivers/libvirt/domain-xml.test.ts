import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { diskChecks, guestChecks } from '../../../src/drivers/libvirt/check.ts';
import { readDomain, type DomainFacts } from '../../../src/drivers/libvirt/domain-xml.ts';
import { guestInfo } from '../../../src/protocol/public/hosts/host.ts';

const GIB = 1024 ** 3;
const NAMES = [
  'virt-install-windows',
  'nova-instance',
  'kubevirt-launcher',
  'ovirt-vm',
  'ovirt-uefi',
] as const;
type Name = (typeof NAMES)[number];

/** Whole domains as those who start them write them, in their shapes. */
function text(name: Name): string {
  return readFileSync(new URL(`./domains/${name}.xml`, import.meta.url), 'utf8');
}

function facts(name: Name, change: (xml: string) => string = (xml) => xml): DomainFacts {
  const read = readDomain(change(text(name)));
  assert.ok(read.facts, `${name}: ${read.why ?? ''}`);
  return read.facts;
}

function withDevice(device: string): (xml: string) => string {
  return (xml) => xml.replace('</devices>', `${device}</devices>`);
}

describe('the XML of a domain', () => {
  test('the XML of virt-install yields firmware with its variables, TPM, libvirt networks, title and system', () => {
    const found = facts('virt-install-windows');
    assert.deepEqual(found.firmware, {
      loader: '/usr/share/OVMF/OVMF_CODE_4M.ms.fd',
      isSecure: true,
      nvram: '/var/lib/libvirt/qemu/nvram/win11-desk_VARS.fd',
    });
    assert.deepEqual(found.tpm, { model: 'tpm-crb', backend: 'emulator' });
    assert.deepEqual(found.networks, [{ nic: 'net0', network: 'default' }]);
    assert.deepEqual(found.nics, [{ id: 'net0', mac: '52:54:00:6a:10:01', bridge: 'virbr0' }]);
    assert.deepEqual(found.labels, {
      'libvirt/title': 'Finance desktop',
      'libvirt/os': 'http://microsoft.com/win/11',
    });
    const { cpu, ...machine } = found.machine;
    const emulator = '/usr/bin/qemu-system-x86_64';
    assert.deepEqual(machine, { virtType: 'kvm', arch: 'x86_64', type: 'pc-q35-7.2', emulator });
    assert.equal(cpu?.children.find(({ name }) => name === 'model')?.text, 'Cascadelake-Server');
    assert.deepEqual([found.memoryBytes, found.vcpus, found.accelerator], [8 * GIB, 4, 'kvm']);
    assert.deepEqual(found.securityLabels, [{ model: 'apparmor', kind: 'made' }]);
  });

  test('the XML of Nova yields each kind of disk, backing files, ports, name, project and flavor', () => {
    const found = facts('nova-instance');
    assert.deepEqual(
      found.disks.map(({ name, kind, source }) => [name, kind, source]),
      [
        ['vda', 'file', '/var/lib/nova/instances/0a7bb6c4-93b5-4bb0-a1d5-2a8f4a0e1002/disk'],
        ['vdb', 'network', 'rbd:volumes/volume-5e2c'],
        ['vdc', 'block', '/dev/dm-7'],
        ['sda', 'file', '/var/lib/nova/instances/0a7bb6c4-93b5-4bb0-a1d5-2a8f4a0e1002/disk.config'],
      ],
    );
    assert.deepEqual(
      found.disks.map(({ isLinked, isShareable, isWritten }) => [isLinked, isShareable, isWritten]),
      [
        [true, false, true],
        [false, false, true],
        [false, true, true],
        [false, false, false],
      ],
    );
    assert.deepEqual(
      found.nics.map(({ mac, bridge }) => [mac, bridge]),
      [
        ['fa:16:3e:70:2a:01', 'br-int'],
        ['fa:16:3e:70:2a:02', undefined],
      ],
    );
    assert.equal(found.firmware?.nvram, '/var/lib/libvirt/qemu/nvram/instance-0000002a_VARS.fd');
    assert.equal(found.tpm?.backend, 'emulator');
    assert.deepEqual(found.labels, {
      'nova/name': 'web & more',
      'nova/flavor': 'm1.medium',
      'nova/project': 'shop',
    });
  });

  test('the XML of KubeVirt yields separately stored variables, present processors, and user aliases', () => {
    const found = facts('kubevirt-launcher');
    assert.equal(found.firmware?.nvram, '/var/lib/libvirt/qemu/nvram/shop_vm-orders_VARS.fd');
    assert.deepEqual([found.firmware.isSecure, found.tpm?.model], [false, 'tpm-crb']);
    assert.equal(found.vcpus, 2);
    assert.equal(found.machine.emulator, '/usr/libexec/qemu-kvm');
    assert.deepEqual(
      found.disks.map(({ name, kind, source }) => [name, kind, source]),
      [
        ['vda', 'file', '/var/run/kubevirt-private/vmi-disks/rootdisk/disk.img'],
        ['vdb', 'block', '/dev/data'],
      ],
    );
    assert.deepEqual(found.labels, { 'kubevirt/uid': '2b8f9f60-44a7-4a9a-b9b5-8a55a4b2c003' });
  });

  test('the XML of oVirt yields chosen labels, volumes of a storage domain, no firmware and no TPM', () => {
    const found = facts('ovirt-vm');
    assert.equal(found.securityLabels.map(({ model }) => model).join(), 'selinux,dac');
    assert.deepEqual([found.firmware, found.tpm], [undefined, undefined]);
    assert.deepEqual([found.memoryBytes, found.vcpus], [16 * GIB, 8]);
    assert.equal(found.machine.type, 'pc-i440fx-rhel7.6.0');
    assert.deepEqual(
      found.disks.map(({ name, isWritten }) => [name, isWritten]),
      [
        ['sda', true],
        ['vda', true],
        ['sdc', false],
      ],
    );
  });

  test('the XML of oVirt with secure boot yields firmware with its variables, and a TPM', () => {
    const { firmware, tpm, machine } = facts('ovirt-uefi');
    assert.match(`${firmware?.loader} ${firmware?.nvram}`, /CODE\.secboot\.fd .*2005\.fd$/);
    assert.deepEqual([firmware?.isSecure, tpm?.backend], [true, 'emulator']);
    assert.equal(machine.type, 'pc-q35-rhel8.6.0');
  });

  test("the XML of all managers fits Godwit's lists, and none of those guests is blocked", () => {
    for (const name of NAMES) {
      const { unmovable, nics, devices, labels, memoryBytes, machine } = facts(name);
      assert.deepEqual(unmovable, [], name);
      const known = { name: 'web1', host: 'a', driver: 'libvirt', state: 'running', labels };
      guestInfo.parse({ ...known, nics, devices, memoryBytes, machineType: machine.type });
    }
  });

  test("the devices that block a guest are named, by libvirt's own rules", () => {
    const stops: readonly [string, RegExp][] = [
      [`<hostdev mode='subsystem' type='pci'/>`, /hostdev pci/],
      [`<hostdev mode='subsystem' type='usb'/>`, /hostdev usb/],
      [`<hostdev mode='subsystem' type='mdev'/>`, /hostdev mdev/],
      [`<hostdev mode='capabilities' type='misc'/>`, /hostdev misc/],
      [`<interface type='hostdev'/>`, /interface hostdev/],
      [`<interface type='vdpa'/>`, /interface vdpa/],
      [`<shmem name='s'/>`, /shmem/],
      [`<filesystem type='mount'><driver type='virtiofs'/></filesystem>`, /virtiofs/],
      [`<tpm model='tpm-tis'><backend type='passthrough'/></tpm>`, /tpm passthrough/],
      [`<disk type='nvme' device='disk'><target dev='vdz'/></disk>`, /vdz, nvme/],
      [`<disk type='file'><target dev='vdz'/><transient/></disk>`, /vdz, whose changes/],
      [`<memory model='nvdimm'><source><path>/p</path></source></memory>`, /nvdimm/],
    ];
    for (const [device, said] of stops) {
      const { unmovable } = facts('nova-instance', withDevice(device));
      assert.equal(unmovable.length, 1, device);
      assert.match(unmovable.join(), said);
    }
    const passed = [
      `<hostdev type='pci'><teaming type='transient' persistent='ua-1'/></hostdev>`,
      `<interface type='hostdev'><teaming type='transient' persistent='ua-1'/></interface>`,
      `<filesystem type='mount'><driver type='path'/></filesystem>`,
      `<memory model='dimm'><target/></memory>`,
    ];
    for (const device of passed) {
      assert.deepEqual(facts('nova-instance', withDevice(device)).unmovable, [], device);
    }
  });

  test("a clock with the host's own rate blocks a guest unless the rate is written down", () => {
    const invariant = (xml: string): string =>
      xml.replace('</cpu>', `<feature policy='require' name='invtsc'/></cpu>`);
    assert.match(facts('nova-instance', invariant).unmovable.join(), /invtsc/);
    const fixed = (xml: string): string =>
      invariant(xml).replace('</clock>', `<timer name='tsc' frequency='2400000000'/></clock>`);
    assert.deepEqual(facts('nova-instance', fixed).unmovable, []);
  });

  test('a guest with a device of its host is refused before anything begins', () => {
    const found = facts('nova-instance', withDevice(`<hostdev type='pci'/>`));
    const codes = guestChecks('web1', 'running', found).map(({ error }) => error?.code);
    assert.deepEqual(codes, [undefined, 'GODWIT_DEVICE_UNMOVABLE']);
    const [stopped] = guestChecks('web1', 'stopped', facts('nova-instance'));
    assert.equal(stopped?.error?.code, 'GODWIT_GUEST_STATE');
  });

  test('a disk with cache=unsafe is one that QEMU never flushes', () => {
    const file = (cache: string): string =>
      `<disk type='file' device='disk'><driver name='qemu' type='raw' cache='${cache}'/><source file='/d/1'/><target dev='vdz'/></disk>`;
    const found = (cache: string) =>
      facts('virt-install-windows', withDevice(file(cache))).disks.find(
        ({ name }) => name === 'vdz',
      );
    assert.equal(found('unsafe')?.isNeverFlushed, true);
    assert.equal(found('writeback')?.isNeverFlushed, undefined);
  });

  test('a local disk is copied, or refused if its copy would differ; a network disk is left to libvirt', async () => {
    const disk = {
      name: 'vda',
      format: 'raw',
      isWritten: true,
      isShareable: false,
      isLinked: false,
      pool: undefined,
    };
    const here = { ...disk, kind: 'file', source: '/proc/../etc/passwd' };
    const local = await diskChecks('web1', [
      here,
      { ...here, isLinked: true },
      { ...here, isShareable: true },
      { ...here, format: 'vmdk' },
      { ...here, isNeverFlushed: true },
    ]);
    const code = 'GODWIT_DISK_LOCAL';
    assert.deepEqual(
      local.map(({ error }) => error?.code),
      [undefined, code, code, code, code],
    );
    const others = [
      { ...disk, kind: 'network', source: 'rbd:a/b' },
      { ...disk, kind: 'file', source: '/nowhere/at/all' },
      { ...disk, kind: 'file', source: '/etc/passwd', isWritten: false },
    ];
    assert.deepEqual(
      (await diskChecks('web1', others)).map(({ verdict }) => verdict),
      ['pass'],
    );
  });
});

describe('malformed domain XML', () => {
  test('malformed XML is refused with its mistake', () => {
    const whole = text('ovirt-vm');
    const bomb = `<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><domain>&b;</domain>`;
    const wrong: readonly [string, RegExp][] = [
      ['', /not well formed/],
      ['<domain', /not well formed/],
      ['<domain></x>', /not well formed/],
      [whole.slice(0, whole.length / 2), /not well formed/],
      [bomb, /document type/],
      ['<network/>', /of <network>/],
      [whole.replace(/<name>[^<]*<\/name>/, ''), /no <name>/],
      [whole.replace(/<uuid>[^<]*<\/uuid>/, '<uuid>none</uuid>'), /<uuid>/],
      [whole.replaceAll("unit='KiB'", "unit='cubits'"), /<memory>/],
      [whole.replace("machine='pc-i440fx-rhel7.6.0'", ''), /machine type/],
      [whole.replace('<devices>', '<gadgets>').replace('</devices>', '</gadgets>'), /<devices>/],
      [whole.replace('</devices>', `${'<input/>'.repeat(5000)}</devices>`), /\d+ devices/],
    ];
    for (const [xml, said] of wrong) {
      assert.match(readDomain(xml).why ?? 'it was read', said, xml.slice(0, 200));
    }
  });

  test('any text is parsed or refused, without an exception', () => {
    const piece = fc.constantFrom(
      '<domain>',
      '</domain>',
      '<devices>',
      '</devices>',
      '<disk/>',
      "<memory unit='X'>9</memory>",
      '&#x0;',
      '<![CDATA[',
      ']]>',
      '<!--',
      "<vcpu current='-1'>",
      '__proto__',
      "<os __proto__='x'/>",
    );
    const noise = fc
      .array(fc.oneof(piece, fc.string()), { maxLength: 12 })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(noise, (xml) => {
        for (const each of [xml, `<domain>${xml}</domain>`]) {
          const { facts: read, why } = readDomain(each);
          assert.notEqual(read === undefined, why === undefined);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('a domain with any changed piece is read within its bounds or refused', () => {
    const harm = fc.record({
      name: fc.constantFrom(...NAMES),
      from: fc.double({ min: 0, max: 1, noNaN: true }),
      length: fc.integer({ min: 0, max: 200 }),
      put: fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom('<', '&', "'", '</devices>')),
    });
    fc.assert(
      fc.property(harm, ({ name, from, length, put }) => {
        const xml = text(name);
        const start = Math.floor(from * xml.length);
        const { facts: read, why } = readDomain(
          `${xml.slice(0, start)}${put}${xml.slice(start + length)}`,
        );
        if (read === undefined) return assert.ok((why ?? '').length > 0);
        const { nics, devices, labels, memoryBytes, unmovable } = read;
        const known = { name: 'web1', host: 'a', driver: 'libvirt', state: 'running' };
        guestInfo.parse({ ...known, nics, devices, labels, memoryBytes, unmovable });
        assert.ok(memoryBytes > 0);
        return undefined;
      }),
      { numRuns: 1000 },
    );
  });
});
