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

const TARGET = 'iqn.2003-01.org.linux-iscsi.san:vm';
const LUN = `iscsi://10.0.0.5:3260/${TARGET}/4`;

const node = (name: string, driver: string) => liveNode(name, driver, { file: LUN });

function blocksOf(drive = 'drive-scsi0'): BlockFacts {
  const live = { qdev: '/machine/peripheral/disk0/virtio-backend', builtIn: undefined };
  return {
    disks: [{ drive, root: 'top', writeCache: true, ...live }],
    nodes: [node('top', 'raw'), node('net', 'iscsi')],
    edges: [{ parent: 'top', child: 'net', role: 'file' }],
    jobs: [],
  };
}

function draftOf(drives: string, block: BlockFacts) {
  const drive = block.disks[0]?.drive === '' ? 'top' : 'drive-scsi0';
  const argv = commandLine(`-nodefaults ${drives} -device virtio-blk-pci,drive=${drive},id=disk0`);
  return { facts: factsOf(argv, { block, cwd: '/srv' }), block };
}

/** As Proxmox VE writes it for a storage of type `iscsidirect`, and libvirt for `<disk type='network'>`. */
const PROXMOX = `-drive file=iscsi://10.0.0.5/${TARGET}/4,if=none,id=drive-scsi0,format=raw,cache=none,aio=io_uring,detect-zeroes=on`;
const LIBVIRT =
  `-blockdev {"driver":"iscsi","portal":"10.0.0.5:3260","target":"${TARGET}","lun":4,"transport":"tcp",` +
  '"user":"vm","password-secret":"libvirt-1-secret0","timeout":30,"node-name":"net","cache":{"direct":true}} ' +
  '-blockdev {"node-name":"top","read-only":false,"driver":"raw","file":"net"}';

describe('LUNs opened by QEMU', () => {
  test('a LUN is described without its portal, its target, its user and its password', () => {
    for (const [drives, drive] of [
      [PROXMOX, 'drive-scsi0'],
      [LIBVIRT, ''],
    ] as const) {
      const { spec, disks, findings } = describeGuest(draftOf(drives, blocksOf(drive)).facts);
      guestSpec.parse(spec);
      assert.deepEqual(
        findings.filter(({ kind }) => kind !== 'changed'),
        [],
      );
      assert.deepEqual([...disks.files], [['top', LUN]]);
      assert.doesNotMatch(JSON.stringify([spec, disks.disks]), /10\.0\.0|iqn|secret|"vm"/);
    }
  });

  test('a LUN keeps its timeout for answers', () => {
    const [own] = describeGuest(draftOf(LIBVIRT, blocksOf('')).facts).spec.blockNodes ?? [];
    assert.equal(own?.timeout, 30);
  });

  test('a LUN over iSER, or with an unknown setting, is refused', () => {
    for (const [change, said] of [
      ['"transport":"iser"', /iSER/],
      ['"transport":"tcp","x-new":1', /`x-new` is unknown/],
    ] as const) {
      const drives = LIBVIRT.replace('"transport":"tcp"', change);
      const [finding] = describeGuest(draftOf(drives, blocksOf('')).facts).findings;
      assert.match(finding?.reason ?? '', said);
    }
  });

  test("a LUN is opened by QEMU's iSCSI client under this host's name for it", () => {
    const [own] = describeGuest(draftOf(LIBVIRT, blocksOf('')).facts).spec.blockNodes ?? [];
    assert.ok(own !== undefined);
    const file = `iscsi://san-b:860/${TARGET}/4?initiator=iqn.2026-01.example:b`;
    const [opened] = openings(own, file);
    assert.deepEqual(opened, {
      driver: 'iscsi',
      transport: 'tcp',
      portal: 'san-b:860',
      target: TARGET,
      lun: 4,
      'initiator-name': 'iqn.2026-01.example:b',
      timeout: 30,
      'node-name': 'net',
      'read-only': false,
      cache: { direct: true, 'no-flush': false },
      discard: 'ignore',
    });
  });

  test("a LUN is opened with this host's login, whose password is in a file and in no argument", () => {
    const [own] = describeGuest(draftOf(LIBVIRT, blocksOf('')).facts).spec.blockNodes ?? [];
    assert.ok(own !== undefined);
    const file = `iscsi://san-b:860/${TARGET}/4?user=host-b&password-file=%2Frun%2Fg%2Fkey`;
    const [opened] = openings(own, file);
    const { user, 'password-secret': secret } = opened as Record<string, unknown>;
    assert.deepEqual([user, secret], ['host-b', `godwit-key-${own.node}`]);
    const words = secretWords([own], new Map([[own.node, file]]));
    const object = { 'qom-type': 'secret', id: secret, file: '/run/g/key', format: 'raw' };
    assert.deepEqual(words, ['-object', JSON.stringify(object)]);
  });

  test('a LUN is not moved on its host', () => {
    const [disk] = relocatable(draftOf(PROXMOX, blocksOf()).facts);
    assert.equal(disk?.fixed, 'it is a LUN that QEMU opens by itself');
  });
});

test('the name of a LUN is shown without secrets, however QEMU reports it', () => {
  const settings = `"lun": "4", "portal": "10.0.0.5", "driver": "iscsi", "user": "me", "password": "pw", "target": "${TARGET}"`;
  for (const text of [
    `json:{${settings}}`,
    `json:{"driver": "raw", "file": {${settings}}}`,
    `json:{"driver": "copy-on-read", "file": {"driver": "raw", "file": {${settings}}}}`,
    `iscsi://me%pw@10.0.0.5:3260/${TARGET}/4`,
    `iscsi://10.0.0.5/${TARGET}/4`,
  ]) {
    assert.equal(plainName(text), LUN, text);
  }
  for (const text of [
    '/srv/a.raw',
    'nfs://filer/a',
    'json:{',
    'json:[]',
    'json:{"driver":"ssh"}',
  ]) {
    assert.equal(plainName(text), text);
  }
});
