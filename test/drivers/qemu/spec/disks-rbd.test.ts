import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { relocatable } from '../../../../src/drivers/qemu/mirror/relocate-plan.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import type { BlockFacts } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { openings, secretWords } from '../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import { plainName } from '../../../../src/drivers/qemu/spec/network-name.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { commandLine, factsOf } from './facts.ts';
import { liveNode } from './samples.ts';

const IMAGE = 'rbd:vms/2f1c_disk';

const node = (name: string, driver: string) => liveNode(name, driver, { file: IMAGE });

function factsWith(drives: string, drive: string, format: 'raw' | 'qcow2' = 'raw') {
  const live = { qdev: '/machine/peripheral/disk0/virtio-backend', builtIn: undefined };
  const block: BlockFacts = {
    disks: [{ drive, root: 'top', writeCache: true, ...live }],
    nodes: [node('top', format), node('net', 'rbd')],
    edges: [{ parent: 'top', child: 'net', role: 'file' }],
    jobs: [],
  };
  const device = `-device virtio-blk-pci,drive=${drive || 'top'},id=disk0`;
  return factsOf(commandLine(`-nodefaults ${drives} ${device}`), { block, cwd: '/srv' });
}

/** As Proxmox VE writes it, and Nova’s libvirt with a user and a secret of its own. */
const PROXMOX =
  '-drive file=rbd:vms/2f1c_disk:conf=/etc/pve/ceph.conf:id=admin:keyring=/etc/pve/priv/ceph/vms.keyring,' +
  'if=none,id=drive-scsi0,format=raw,cache=none,aio=threads,detect-zeroes=on';
const NOVA =
  '-object secret,id=libvirt-1-storage-auth-secret0,data=AAAA,format=base64 ' +
  '-blockdev {"driver":"rbd","pool":"vms","image":"2f1c_disk","server":[{"host":"10.0.0.1","port":"6789"}],' +
  '"user":"cinder","auth-client-required":["cephx","none"],"key-secret":"libvirt-1-storage-auth-secret0",' +
  '"node-name":"net","read-only":false,"discard":"unmap","cache":{"direct":true,"no-flush":false}} ' +
  '-blockdev {"node-name":"top","read-only":false,"driver":"raw","file":"net","discard":"unmap"}';

describe('RBD images opened by QEMU', () => {
  test('an RBD image is described without its cluster, its pool, its user and its key', () => {
    for (const [drives, drive] of [
      [PROXMOX, 'drive-scsi0'],
      [NOVA, ''],
    ] as const) {
      const { spec, disks, findings } = describeGuest(factsWith(drives, drive));
      guestSpec.parse(spec);
      assert.deepEqual(findings, []);
      assert.deepEqual([...disks.files], [['top', IMAGE]]);
      assert.doesNotMatch(JSON.stringify([spec, disks.disks]), /vms|cinder|secret|keyring|10\.0/);
    }
  });

  test('an RBD image is refused as qcow2, whose header is not read, and if Ceph encrypts it', () => {
    const [first] = describeGuest(
      factsWith(NOVA.replace('"raw"', '"qcow2"'), '', 'qcow2'),
    ).findings;
    assert.match(first?.reason ?? '', /qcow2 image within an image of RBD/);
    const encrypted = NOVA.replace('"user"', '"encrypt":{"format":"luks"},"user"');
    const [second] = describeGuest(factsWith(encrypted, '')).findings;
    assert.match(second?.reason ?? '', /`encrypt` is unknown/);
  });

  test("an RBD image is opened as the host's user, with a key that is not on the command line", () => {
    const [own] = describeGuest(factsWith(NOVA, '')).spec.blockNodes ?? [];
    assert.ok(own !== undefined);
    const file = 'rbd:vms/2f1c_disk:id=vm:conf=/etc/ceph/b.conf:keyfile=/var/lib/g/ceph-top.key';
    const [opened] = openings(own, file);
    assert.deepEqual(opened, {
      driver: 'rbd',
      pool: 'vms',
      image: '2f1c_disk',
      conf: '/etc/ceph/b.conf',
      user: 'vm',
      'key-secret': 'godwit-key-top',
      'node-name': 'net',
      'read-only': false,
      cache: { direct: true, 'no-flush': false },
      discard: 'unmap',
    });
    const secret = {
      'qom-type': 'secret',
      id: 'godwit-key-top',
      file: '/var/lib/g/ceph-top.key',
      format: 'base64',
    };
    const words = secretWords([own], new Map([['top', file]]));
    assert.deepEqual(words, ['-object', JSON.stringify(secret)]);
    assert.deepEqual(secretWords([own], new Map([['top', 'rbd:vms/2f1c_disk']])), []);
  });

  test('an RBD image is not moved on its host', () => {
    const [disk] = relocatable(factsWith(PROXMOX, 'drive-scsi0'));
    assert.equal(disk?.fixed, 'it is an image of RBD');
  });
});

test('the name of an RBD image is shown without secrets, however QEMU reports it', () => {
  const settings =
    '"pool": "vms", "image": "2f1c_disk", "driver": "rbd", "user": "vm", "namespace": ""';
  for (const text of [
    `json:{${settings}}`,
    `json:{"driver": "raw", "file": {${settings}}}`,
    'rbd:vms/2f1c_disk:id=vm:key=AQBsecret==:mon_host=10.0.0.1\\:6789',
  ]) {
    assert.equal(plainName(text), IMAGE, text);
  }
  assert.equal(plainName(`json:{${settings}, "snapshot": "s1"}`), `${IMAGE}@s1`);
  assert.equal(plainName('rbd:vms/d@s1:key=AQB'), 'rbd:vms/d@s1');
});
