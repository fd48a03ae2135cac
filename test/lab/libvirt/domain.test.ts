import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { readDomain } from '../../../src/drivers/libvirt/domain-xml.ts';
import { managerLacks } from '../../../lab/libvirt/daemon.ts';
import { domainXml, type DomainPlan } from '../../../lab/libvirt/domain.ts';

const PLAN: DomainPlan = {
  name: 'web1',
  uuid: '11111111-2222-4333-8444-555555555555',
  binary: '/usr/bin/qemu-system-x86_64',
  machineType: 'pc-q35-7.2',
  accelerator: 'tcg',
  memoryBytes: 192 * 1024 ** 2,
  mac: '52:54:00:00:00:01',
  kernel: '/kernel',
  initramfs: '/initramfs',
  commandLine: 'console=ttyS0',
  serialLog: '/serial.log',
};

describe("a lab guest's libvirt XML", () => {
  test("a lab guest's libvirt XML is read as the requested guest, whatever its words are", () => {
    const words = fc.string({ unit: 'grapheme-ascii', maxLength: 40 });
    fc.assert(
      fc.property(words, words, (commandLine, directory) => {
        const drives = [{ file: `/images/${directory}/d.raw`, format: 'raw', thin: true }] as const;
        const { facts } = readDomain(domainXml({ ...PLAN, commandLine, drives }));
        assert.equal(facts?.memoryBytes, PLAN.memoryBytes);
        assert.deepEqual(
          facts.nics.map(({ mac, bridge }) => [mac, bridge]),
          [[PLAN.mac, 'br0']],
        );
        const [disk] = facts.disks;
        assert.deepEqual([disk?.name, disk?.source, disk?.format], ['vda', drives[0].file, 'raw']);
        assert.deepEqual(facts.unmovable, []);
      }),
    );
  });

  test("a lab guest's libvirt XML has the extra words of QEMU's command line, and none by default", () => {
    const xml = domainXml({ ...PLAN, extraArguments: ['-qmp', 'unix:/a"b'] });
    assert.match(xml, /<qemu:arg value="-qmp"\/>\s+<qemu:arg value="unix:\/a&quot;b"\/>/);
    assert.equal(readDomain(xml).facts?.memoryBytes, PLAN.memoryBytes);
    assert.doesNotMatch(domainXml(PLAN), /qemu:/);
  });
});

describe('a lab with libvirt', () => {
  test('a lab with libvirt is refused by name if it cannot be set up', async () => {
    const code = async (plan: object, uid = 0): Promise<string | undefined> =>
      (await managerLacks({ manager: 'libvirt', storage: 'local', ...plan }, uid))?.code;
    assert.equal(await code({}, 1000), 'GODWIT_PRIVILEGE');
    assert.equal(await code({ network: 'routed' }), 'GODWIT_USAGE');
    assert.equal(await code({ storage: 'shared' }), 'GODWIT_USAGE');
    assert.equal(await code({ manager: undefined, network: 'routed' }), undefined);
  });
});
