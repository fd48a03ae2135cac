import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { relocatable } from '../../../../src/drivers/qemu/mirror/relocate-plan.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import type { BlockFacts, LiveNode } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { openings } from '../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { commandLine, factsOf } from './facts.ts';
import { liveNode } from './samples.ts';

const FILE = 'nfs://filer/srv/vm/top.qcow2';

const node = (name: string, driver: string, change: Partial<LiveNode> = {}): LiveNode =>
  liveNode(name, driver, { file: FILE, allocatedBytes: 200_704, ...change });

function blocksOf(change: Record<string, Partial<LiveNode>> = {}, drive = 'vda'): BlockFacts {
  const nodes = [node('top', 'qcow2'), node('net', 'nfs')];
  const live = { qdev: '/machine/peripheral/disk0/virtio-backend', builtIn: undefined };
  return {
    disks: [{ drive, root: 'top', writeCache: true, ...live }],
    nodes: nodes.map((each) => ({ ...each, ...change[each.name] })),
    edges: [{ parent: 'top', child: 'net', role: 'file' }],
    jobs: [],
  };
}

const DRIVE = `-drive if=none,id=vda,file=${FILE},format=qcow2,cache=none`;
const SERVER = 'server.type=inet,server.host=filer';
const BLOCKDEV = `-blockdev driver=nfs,node-name=net,path=/srv/vm/top.qcow2,${SERVER}`;

function factsWith(drives: string, block: BlockFacts) {
  const drive = block.disks[0]?.drive === '' ? 'top' : 'vda';
  const argv = commandLine(`-nodefaults ${drives} -device virtio-blk-pci,drive=${drive},id=disk0`);
  return factsOf(argv, { block, cwd: '/srv' });
}

const draftOf = (drives = DRIVE, block = blocksOf()) => describeGuest(factsWith(drives, block));

describe('NFS disks opened by QEMU', () => {
  test('an NFS disk is described without its server and without its path', () => {
    const { spec, disks, findings } = draftOf();
    guestSpec.parse(spec);
    assert.deepEqual(findings, []);
    assert.deepEqual([...disks.files], [['top', FILE]]);
    assert.doesNotMatch(JSON.stringify([spec, disks.disks]), /filer|srv/);
  });

  test('an NFS disk is read from block nodes of the command line, too, with its losses', () => {
    const qcow2 = '-blockdev driver=qcow2,node-name=top,file=net';
    const tuned = `${BLOCKDEV},user=107,group=107,readahead-size=65536 ${qcow2}`;
    const { findings, disks } = draftOf(tuned, blocksOf({ net: { file: `${FILE}?uid=107` } }, ''));
    assert.deepEqual(
      findings.map(({ kind, reason }) => [kind, reason]),
      [['changed', 'is opened without a read-ahead or a page cache of its NFS client']],
    );
    assert.deepEqual([...disks.files], [['top', `${FILE}?uid=107`]]);
  });

  test('an NFS disk that is never flushed, or has an unknown setting, is refused like any other', () => {
    const unsafe = blocksOf({ top: { noFlush: true }, net: { noFlush: true } });
    assert.deepEqual(
      draftOf(DRIVE, unsafe).findings.map(({ kind }) => kind),
      ['disk-cache'],
    );
    const odd = `${BLOCKDEV},x-new=1 -blockdev driver=qcow2,node-name=top,file=net`;
    const [finding] = draftOf(odd, blocksOf({}, '')).findings;
    assert.match(finding?.reason ?? '', /`x-new` is unknown/);
    const unreported = DRIVE.replace(',format=qcow2', '');
    assert.deepEqual(
      draftOf(unreported).findings.map(({ kind }) => kind),
      ['disk-format'],
    );
  });

  test("an NFS disk is opened by QEMU's NFS client as the host's user, without unsupported options", () => {
    const [spec] = draftOf().spec.blockNodes ?? [];
    assert.ok(spec !== undefined);
    assert.deepEqual(openings(spec, 'nfs://10.0.0.5/exports/top.qcow2?uid=107&gid=0')[0], {
      driver: 'nfs',
      server: { type: 'inet', host: '10.0.0.5' },
      path: '/exports/top.qcow2',
      user: 107,
      group: 0,
      'node-name': 'net',
      'read-only': false,
      cache: { direct: true, 'no-flush': false },
      discard: 'unmap',
    });
    assert.equal('locking' in (openings(spec, '/mnt/top.qcow2')[0] ?? {}), true);
  });

  test('an NFS disk is not moved to another place of its host', () => {
    const [found] = relocatable(factsWith(DRIVE, blocksOf()));
    assert.equal(found?.fixed, 'it lies on an NFS export');
  });
});
