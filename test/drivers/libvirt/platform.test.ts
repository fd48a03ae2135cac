import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  newestLike,
  readCapabilities,
  readMachineCapabilities,
} from '../../../src/drivers/libvirt/capabilities.ts';
import { readDomain, type DomainFacts } from '../../../src/drivers/libvirt/domain-xml.ts';
import { machineChecks, partChecks } from '../../../src/drivers/libvirt/platform.ts';
import { formatXml, parseXml } from '../../../src/formats/xml.ts';

/** In the shape of libvirt 9.0. */
const HOST = `
<capabilities>
  <host><uuid>00000000-0000-4000-9000-000000000001</uuid>
    <secmodel><model>apparmor</model><doi>0</doi></secmodel>
    <secmodel><model>dac</model><doi>0</doi>
      <baselabel type='kvm'>+64055:+64056</baselabel>
      <baselabel type='qemu'>+64055:+64056</baselabel></secmodel></host>
  <guest><os_type>hvm</os_type>
    <arch name='x86_64'><wordsize>64</wordsize>
      <machine maxCpus='288' canonical='pc-q35-7.2'>q35</machine>
      <machine maxCpus='288'>pc-q35-6.2</machine>
      <machine maxCpus='255'>pc-i440fx-7.2</machine>
      <domain type='qemu'/><domain type='kvm'/></arch></guest>
</capabilities>`;

function facts(change: Partial<DomainFacts> = {}): DomainFacts {
  const file = new URL('./domains/virt-install-windows.xml', import.meta.url);
  const read = readDomain(readFileSync(file, 'utf8'));
  assert.ok(read.facts);
  return { ...read.facts, ...change };
}

function refused(given: DomainFacts, xml = HOST): string[] {
  const host = readCapabilities(xml);
  assert.ok(host);
  return machineChecks(given, 'b', host).flatMap(({ error }) =>
    error === undefined ? [] : [`${error.code} ${error.message}`],
  );
}

describe('the machine of a guest at its destination', () => {
  test('a machine type is available by its name or by the type that an alias stands for', () => {
    assert.deepEqual(refused(facts()), []);
    const older = { ...facts().machine, type: 'pc-q35-6.2' };
    assert.deepEqual(refused(facts({ machine: older })), []);
  });

  test('a machine type newer than all is refused, with the newest of its kind', () => {
    const machine = { ...facts().machine, type: 'pc-q35-10.0' };
    assert.deepEqual(refused(facts({ machine })), [
      'GODWIT_MACHINE_TYPE no hypervisor on b supports the machine type pc-q35-10.0 (newest there: pc-q35-7.2)',
    ]);
    assert.equal(newestLike('pc-q35-7.2', ['pc-q35-9.2', 'pc-q35-10.0', 'q35']), 'pc-q35-10.0');
    assert.equal(newestLike('virt-7.2', ['pc-q35-9.2']), undefined);
    const rhel = ['pc-q35-rhel8.6.0', 'pc-q35-rhel9.2.0', 'pc-i440fx-rhel7.6.0'];
    assert.equal(newestLike('pc-q35-rhel9.4.0', rhel), 'pc-q35-rhel9.2.0');
  });

  test('a host without KVM for the machine is refused', () => {
    const [first] = refused(facts(), HOST.replace("<domain type='kvm'/>", ''));
    assert.match(first ?? '', /^GODWIT_ACCELERATOR .* kvm on x86_64/);
  });

  test('a guest confined by an unused security model is refused once per model, with a remedy', () => {
    const without = HOST.replace('<model>apparmor</model>', '<model>none</model>');
    assert.deepEqual(refused(facts()), []);
    assert.deepEqual(refused(facts(), without), [
      'GODWIT_DEVICE_UNMAPPED the confinement (apparmor) of win11-desk has no counterpart on b: libvirt there does not confine guests by apparmor',
    ]);
    const fixed = { model: 'selinux', kind: 'fixed' } as const;
    const off = { model: 'selinux', kind: 'off' } as const;
    const onDisk = { ...fixed, device: 'disk vda' };
    const host = readCapabilities(HOST);
    assert.ok(host);
    const [, , first, ...others] = machineChecks(
      facts({ securityLabels: [off, fixed, onDisk] }),
      'b',
      host,
    );
    assert.deepEqual(others, []);
    assert.match(first?.error?.message ?? '', /^a fixed security label \(selinux\) of win11-desk /);
    assert.match(
      first?.error?.hint ?? '',
      /`security_driver` in qemu.conf of b .*SELinux .*without a label/,
    );
    const [, , warned] = machineChecks(facts({ securityLabels: [off] }), 'b', host);
    assert.deepEqual([warned?.name, warned?.verdict], ['labels', 'warn']);
    const [disk] = refused(facts({ securityLabels: [onDisk] }));
    assert.match(disk ?? '', /a fixed security label of disk vda \(selinux\)/);
  });

  test('a malformed capabilities document decides nothing', () => {
    assert.equal(readCapabilities('<domain/>'), undefined);
    assert.equal(readCapabilities('<capabilities>'), undefined);
  });

  test('a processor is written as it was read', () => {
    const { cpu } = facts().machine;
    assert.ok(cpu);
    assert.deepEqual(parseXml(formatXml(cpu)), cpu);
  });

  test('a missing TPM emulator is refused, and an unlisted firmware causes a warning', () => {
    const given = facts();
    const text = (loader: string, backend: string): string =>
      `<domainCapabilities><os><loader supported='yes'><value>${loader}</value></loader></os><devices>
      <tpm supported='yes'><enum name='backendModel'><value>${backend}</value></enum></tpm></devices></domainCapabilities>`;
    const source = readMachineCapabilities(text(given.firmware?.loader ?? '', 'emulator'));
    const bare = readMachineCapabilities(text('/usr/share/other.fd', 'passthrough'));
    assert.ok(source && bare);
    const verdicts = (ends: Parameters<typeof partChecks>[2]): string[] =>
      partChecks(given, 'b', ends).map(({ name, verdict }) => `${name} ${verdict}`);
    assert.deepEqual(verdicts({ source, destination: source }), ['firmware pass', 'tpm pass']);
    assert.deepEqual(verdicts({ source, destination: bare }), ['firmware warn', 'tpm refuse']);
    // Neither lists it: libvirt sees whether the file is there.
    assert.deepEqual(verdicts({ source: bare, destination: bare }), ['tpm refuse']);
    assert.equal(readMachineCapabilities('<capabilities/>'), undefined);
  });
});

test("the user of the QEMU processes is libvirt's report, and is not guessed without one", () => {
  assert.deepEqual(readCapabilities(HOST)?.user, { uid: 64_055, gid: 64_056 });
  const none = HOST.replaceAll(/<baselabel[^]*?<\/baselabel>/g, '');
  assert.equal(readCapabilities(none)?.user, undefined);
  const named = HOST.replaceAll('+64055:+64056', 'qemu:qemu');
  assert.equal(readCapabilities(named)?.user, undefined);
});
