import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { domainSnapshot } from '../../../src/drivers/libvirt/snapshot.ts';
import { changeWords, compareGuests } from '../../../src/migration/guest-changes/compare.ts';
import { guestSnapshot } from '../../../src/migration/guest-changes/snapshot.ts';

const MOVE = { copiesDisks: false, carriesMedia: false, unplugs: [] };
const DISK =
  "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/d/a.qcow2'/>" +
  "<backingStore type='file'><format type='raw'/><source file='/d/base.raw'/></backingStore>" +
  "<target dev='vda' bus='virtio'/><alias name='virtio-disk0'/></disk>";
const CD =
  "<disk type='file' device='cdrom'><source file='/iso/one.iso'/><target dev='sda' bus='sata'/></disk>";
const NIC =
  "<interface type='bridge'><mac address='52:54:00:00:00:01'/><model type='virtio'/><alias name='net0'/></interface>";
const AGENT =
  "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/><alias name='channel0'/></channel>";

const domain = (...devices: string[]): string =>
  `<domain id='3'><memory unit='KiB'>262144</memory><vcpu placement='static'>2</vcpu><devices><emulator>/usr/bin/qemu</emulator>${devices.join('')}</devices></domain>`;

function changed(...devices: string[]): string | undefined {
  const before = domainSnapshot(domain(DISK, CD, NIC, AGENT));
  const after = domainSnapshot(domain(...devices));
  assert.ok(before !== undefined && after !== undefined);
  return changeWords(compareGuests(before, after, MOVE));
}

test('a domain that only libvirt itself has changed is the same', () => {
  assert.equal(changed(DISK, CD, NIC, AGENT.replace("'disconnected'", "'connected'")), undefined);
  assert.equal(changed(NIC, AGENT, CD, DISK), undefined);
});

test('the stored definition of a domain that has stopped is not compared', () => {
  assert.equal(domainSnapshot(domain(DISK, NIC).replace(" id='3'", '')), undefined);
});

test('a change by the owner is named', () => {
  const over = DISK.replace('/d/a.qcow2', '/d/over.qcow2');
  assert.equal(
    changed(over, CD, NIC, AGENT),
    'the image of vda changed from qcow2 /d/a.qcow2 to qcow2 /d/over.qcow2',
  );
  assert.equal(changed(DISK, CD, AGENT), 'the device net0 (interface) was unplugged');
  const other = CD.replace('one.iso', 'two.iso');
  assert.match(changed(DISK, other, NIC, AGENT) ?? '', /^the medium of sda was changed from/);
  const limited = DISK.replace(
    '</disk>',
    '<iotune><total_bytes_sec>1</total_bytes_sec></iotune></disk>',
  );
  assert.match(changed(limited, CD, NIC, AGENT) ?? '', /^the throughput limit of vda changed/);
});

test('a device without a name stays the same when a device before it is unplugged', () => {
  const before = domainSnapshot(domain(DISK, NIC, "<audio type='none'/>"));
  const after = domainSnapshot(domain(DISK, "<audio type='none'/>"));
  assert.ok(before !== undefined && after !== undefined);
  const words = changeWords(compareGuests(before, after, MOVE));
  assert.equal(words, 'the device net0 (interface) was unplugged');
});

test('domains of other managers fit the journal, and are the same twice', async () => {
  const folder = path.join(import.meta.dirname, 'domains');
  for (const name of await readdir(folder)) {
    const xml = await readFile(path.join(folder, name), 'utf8');
    const snapshot = domainSnapshot(xml);
    assert.ok(snapshot !== undefined && snapshot.parts.length > 5, name);
    assert.deepEqual(guestSnapshot.parse(snapshot), snapshot);
    const keys = snapshot.parts.map((each) => `${each.kind} ${each.name}`);
    assert.equal(new Set(keys).size, keys.length, name);
  }
});

test('a text that is not a domain has no snapshot', () => {
  assert.equal(domainSnapshot('<network/>'), undefined);
  assert.equal(domainSnapshot('no XML'), undefined);
});
