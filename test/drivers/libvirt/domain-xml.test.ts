import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { diskChecks, guestChecks } from '../../../src/drivers/libvirt/check.ts';
import { domainFacts } from '../../../src/drivers/libvirt/domain-xml.ts';
import { parseXml } from '../../../src/xml.ts';

const DOMAIN = `<?xml version="1.0"?>
<domain type='kvm' id='7' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>instance-0000002a</name>
  <uuid>11111111-2222-4333-8444-555555555555</uuid>
  <metadata><nova:instance xmlns:nova='urn:n'><nova:name>web &amp; more</nova:name></nova:instance></metadata>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='MiB'>1024</currentMemory>
  <vcpu placement='static' current='2'>8</vcpu>
  <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2' cache='none'/>
      <source file='/var/lib/nova/disk' index='1'/>
      <target dev='vda' bus='virtio'/><alias name='virtio-disk0'/>
    </disk>
    <disk type='network' device='disk'>
      <driver name='qemu' type='raw'/>
      <source protocol='rbd' name='volumes/v1'><host name='10.0.0.1' port='6789'/></source>
      <target dev='vdb' bus='virtio'/>
    </disk>
    <disk type='file' device='cdrom'><target dev='sda' bus='sata'/><readonly/></disk>
    <interface type='bridge'>
      <mac address='fa:16:3e:00:00:01'/><source bridge='qbr0'/><model type='virtio'/><alias name='net0'/>
    </interface>
    <hostdev mode='subsystem' type='pci'><alias name='hostdev0'/></hostdev>
  </devices>
</domain>`;

describe('the XML of a domain', () => {
  test('becomes what Godwit’s lists show of a guest', () => {
    const facts = domainFacts(DOMAIN);
    assert.ok(facts);
    const { memoryBytes, vcpus, machineType, accelerator, nics, unmovable } = facts;
    assert.deepEqual([memoryBytes, vcpus], [1024 ** 3, 2]);
    assert.deepEqual([machineType, accelerator], ['pc-q35-7.2', 'kvm']);
    assert.deepEqual(nics, [{ id: 'net0', mac: 'fa:16:3e:00:00:01', bridge: 'qbr0' }]);
    assert.match(unmovable.join(), /hostdev pci/);
    assert.deepEqual(
      facts.disks.map(({ name, source, kind, isWritten }) => [name, source, kind, isWritten]),
      [
        ['vda', '/var/lib/nova/disk', 'file', true],
        ['vdb', 'rbd:volumes/v1', 'network', true],
        ['sda', '', 'file', false],
      ],
    );
  });

  test('a device of its host is refused before anything begins', () => {
    const facts = domainFacts(DOMAIN);
    assert.ok(facts);
    const codes = guestChecks('web1', 'running', facts).map(({ error }) => error?.code);
    assert.deepEqual(codes, [undefined, 'GODWIT_DEVICE_UNMOVABLE']);
    const [stopped] = guestChecks('web1', 'stopped', { ...facts, unmovable: [] });
    assert.equal(stopped?.error?.code, 'GODWIT_GUEST_STATE');
  });

  test('a disk in a file of this host alone is refused, and one on a network is libvirt’s to judge', async () => {
    const disk = { name: 'vda', format: 'raw', isWritten: true, isShareable: false };
    const local = await diskChecks('web1', [
      { ...disk, kind: 'file', source: '/proc/../etc/passwd' },
    ]);
    assert.deepEqual(
      local.map(({ error }) => error?.code),
      ['GODWIT_DISK_LOCAL'],
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

  test('that is none is none, and a document type is never followed', () => {
    const bomb = `<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><domain>&b;</domain>`;
    for (const text of ['', '<network/>', '<domain', 'text', bomb, '<domain></x>']) {
      assert.equal(domainFacts(text), undefined, text);
    }
  });

  test('never does more than to be no domain, whatever it is', () => {
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
    const text = fc
      .array(fc.oneof(piece, fc.string()), { maxLength: 12 })
      .map((all) => all.join(''));
    fc.assert(
      fc.property(text, (xml) => {
        domainFacts(xml);
        domainFacts(`<domain>${xml}</domain>`);
        parseXml(xml);
      }),
      { numRuns: 1000 },
    );
  });
});
