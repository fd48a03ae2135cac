import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readCapabilities } from '../../src/drivers/libvirt/capabilities.ts';
import { LibvirtClient } from '../../src/drivers/libvirt/client.ts';
import { readDomain } from '../../src/drivers/libvirt/domain-xml.ts';
import { libvirtOptions } from '../../src/drivers/libvirt/options.ts';
import { network, networkDevice, pool } from '../../src/drivers/libvirt/questions.ts';
import type { SecurityLabel } from '../../src/drivers/libvirt/security-labels.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';

const WAIT_MS = 60_000;

function labelsOf(xml: string): readonly SecurityLabel[] {
  const { facts, why } = readDomain(xml);
  assert.ok(facts, why ?? '');
  return facts.securityLabels;
}

/** What is judged before a move, beside what libvirt itself says of the same: its own client is the witness. */
describe('guests of libvirt', () => {
  let hosts: LibvirtHosts;
  const guest = `asked-${process.pid}`;

  before(async () => {
    hosts = await LibvirtHosts.open();
  });
  after(() => hosts?.close());

  test('guests are refused by libvirt for the labels that the check refuses, and accepted with the others', async () => {
    await hosts.guest('a', guest);
    const file = path.join(hosts.dir, 'labelled.xml');
    const there = readCapabilities(await hosts.virsh('b', 'capabilities'));
    assert.ok(there);
    const own = await hosts.virsh('a', 'dumpxml', guest, '--migratable');
    const ofGuest = (label: string): string => own.replace('</domain>', `${label}</domain>`);
    const onSerial = (label: string): string =>
      own.replace(/(<serial[^]*?<source [^>]*)\/>/, `$1>${label}</source>`);
    const at = (host: string): string => hosts.options('a').hosts[host]?.uri ?? '';
    const lacking = (xml: string): string | undefined =>
      labelsOf(xml).find(({ model }) => !there.labelModels.includes(model))?.model;
    /** The model that libvirt names where it keeps the guest out; it comes back where it was let in. */
    const refused = async (xml: string): Promise<string | undefined> => {
      writeFileSync(file, xml);
      const words = ['migrate', '--live', '--p2p', '--xml', file, guest, at('b')] as const;
      const said = await hosts.virsh('a', ...words).catch((error: Error) => error.message);
      if (said !== '')
        return /Security driver model '(\w+)' is not available/.exec(said)?.[1] ?? said;
      writeFileSync(file, own);
      await hosts.virsh('b', 'migrate', '--live', '--p2p', '--xml', file, guest, at('a'));
      return undefined;
    };
    for (const xml of [
      ofGuest("<seclabel type='dynamic' model='apparmor' relabel='yes'/>"),
      ofGuest(
        "<seclabel type='static' model='selinux' relabel='yes'><label>a:b:c:s0</label></seclabel>",
      ),
      onSerial("<seclabel model='selinux' relabel='yes'><label>a:b:c:s0</label></seclabel>"),
      ofGuest("<seclabel type='static' model='dac' relabel='no'><label>+0:+0</label></seclabel>"),
      ofGuest("<seclabel type='none'/>"),
    ])
      assert.equal(await refused(xml), lacking(xml), /<seclabel[^>]*>/.exec(xml)?.[0] ?? '');
    // 9.0 and 11.3 say so, 12.8 lets them in: Godwit warns.
    for (const xml of [
      ofGuest("<seclabel type='none' model='selinux'/>"),
      onSerial("<seclabel model='selinux' relabel='no'/>"),
    ]) {
      assert.deepEqual(
        labelsOf(xml)
          .map(({ kind }) => kind)
          .at(-1),
        'off',
      );
      assert.match((await refused(xml)) ?? 'selinux', /^selinux$/);
    }
  });

  test('guests need networks and pools that the daemon reports as present and started', async () => {
    const signal = AbortSignal.timeout(WAIT_MS);
    const { uri, credentials } = libvirtOptions.parse({ uri: hosts.uri('b') });
    const client = await LibvirtClient.open(uri ?? '', credentials, signal);
    const [name, target] = [`asked-${process.pid}`, path.join(hosts.dir, 'asked')];
    const isPool = async (): Promise<string> => (await pool(client, name, signal)).is;
    const isNetwork = async (): Promise<string> => (await network(client, name, signal)).is;
    try {
      assert.deepEqual([await isPool(), await isNetwork()], ['absent', 'absent']);
      await hosts.virsh('b', 'pool-define-as', name, 'dir', '--target', target);
      const file = path.join(hosts.dir, 'network.xml');
      writeFileSync(
        file,
        `<network><name>${name}</name><forward mode='bridge'/><bridge name='lo'/></network>`,
      );
      await hosts.virsh('b', 'net-define', file);
      assert.deepEqual([await isPool(), await isNetwork()], ['inactive', 'inactive']);
      await hosts.virsh('b', 'pool-start', name, '--build');
      await hosts.virsh('b', 'net-start', name);
      assert.deepEqual([await isPool(), await isNetwork()], ['active', 'active']);
    } finally {
      await hosts.virsh('b', 'pool-destroy', name).catch(() => undefined);
      await hosts.virsh('b', 'net-destroy', name).catch(() => undefined);
      client.close();
    }
  });

  test('guests need bridges and devices that the daemon reports as present', async () => {
    const signal = AbortSignal.timeout(WAIT_MS);
    const { uri, credentials } = libvirtOptions.parse({ uri: hosts.uri('b') });
    const client = await LibvirtClient.open(uri ?? '', credentials, signal);
    try {
      assert.deepEqual(await networkDevice(client, 'lo', signal), { is: 'active' });
      assert.deepEqual(await networkDevice(client, 'br-nowhere', signal), { is: 'absent' });
    } finally {
      client.close();
    }
  });
});
