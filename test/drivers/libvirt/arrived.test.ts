import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrivedGuest, writtenBy } from '../../../src/drivers/libvirt/arrived.ts';
import { knownAs } from '../../../src/drivers/known-as.ts';
import type { LibvirtClient } from '../../../src/drivers/libvirt/client.ts';
import type { DomainDisk } from '../../../src/drivers/libvirt/domain-xml.ts';
import { markElement } from '../../../src/drivers/libvirt/mark.ts';

const disk = (source: string, given: Partial<DomainDisk> = {}): DomainDisk => ({
  name: 'vda',
  source,
  kind: 'file',
  format: 'raw',
  isWritten: true,
  isShareable: false,
  pool: undefined,
  isLinked: false,
  ...given,
});

test('a domain writes to its files and devices, and not to media, empty drives and cooperatively shared disks', () => {
  const disks = [
    disk('/d/a.raw'),
    disk('/dev/vg/b', { kind: 'block' }),
    disk('rbd:vms/c', { kind: 'network' }),
    disk('/d/medium.iso', { isWritten: false }),
    disk(''),
    disk('/d/quorum.raw', { isShareable: true }),
  ];
  assert.deepEqual(writtenBy(disks), { files: ['/d/a.raw', '/dev/vg/b'], remote: 1 });
});

test('a disk that libvirt names by a pool is not a file that an agent can examine', () => {
  assert.equal(writtenBy([disk('/d/a.raw'), disk('vol1', { kind: 'volume' })]), undefined);
});

test('a guest has arrived if it runs with the mark of that migration, and nowhere else', async () => {
  const signal = new AbortController().signal;
  const mark = markElement({
    id: 'm-11111111',
    state: 'sent',
    reason: '',
    autostart: 'no',
    persistent: 'no',
    defined: 'no',
  });
  const xml = `<domain type='kvm'><name>web1</name><uuid>0f6a4cd4-4c1e-4f4b-9b0f-6d5a1d6f0a01</uuid><memory unit='MiB'>64</memory><os><type machine='pc'>hvm</type></os><devices><disk type='file'><source file='/d/a.raw'/><target dev='vda'/></disk><interface type='bridge'><mac address='52:54:00:00:00:01'/><source bridge='br0'/></interface></devices></domain>`;
  const daemon = (id: number, metadata: string | undefined, name = 'web1'): LibvirtClient =>
    ({
      activeDomains: async () => (id === -1 ? [] : [{ name, uuid: 'u', id }]),
      metadata: async () => metadata,
      xml: async () => xml,
    }) as unknown as LibvirtClient;
  const of = { id: 'm-11111111', guest: 'web1' };
  const found = await arrivedGuest(daemon(3, mark), of, signal);
  assert.deepEqual(found?.written, { files: ['/d/a.raw'], remote: 0 });
  assert.deepEqual(
    found?.nics.map(({ mac, bridge }) => [mac, bridge]),
    [['52:54:00:00:00:01', 'br0']],
  );
  const blank = { ...of, guest: knownAs('my vm') };
  assert.ok((await arrivedGuest(daemon(3, mark, 'my vm'), blank, signal)) !== undefined);
  const other = { ...of, id: 'm-22222222' };
  for (const [client, asked] of [
    [daemon(3, mark), other],
    [daemon(3, undefined), of],
    [daemon(-1, mark), of],
  ] as const)
    assert.equal(await arrivedGuest(client, asked, signal), undefined);
});
