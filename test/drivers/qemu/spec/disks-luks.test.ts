import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { relocatable } from '../../../../src/drivers/qemu/mirror/relocate-plan.ts';
import { describeGuest } from '../../../../src/drivers/qemu/spec/describe.ts';
import type {
  BlockFacts,
  LiveNode,
  Qcow2Facts,
} from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { openings, secretWords } from '../../../../src/drivers/qemu/spec/disks/disks-argv.ts';
import { guestSpec } from '../../../../src/drivers/qemu/spec/grammar/judge.ts';
import { commandLine, factsOf } from './facts.ts';
import { QCOW2 as PLAIN, liveNode } from './samples.ts';

const MIB = 1024 ** 2;
const QCOW2: Qcow2Facts = { ...PLAIN, encryption: 'luks' };

const node = (name: string, driver: string, change: Partial<LiveNode> = {}): LiveNode =>
  liveNode(name, driver, { encrypted: driver !== 'file', allocatedBytes: 64 * MIB, ...change });

function factsWith(drives: string, top: LiveNode) {
  const live = { qdev: '/machine/peripheral/disk0/virtio-backend', builtIn: undefined };
  const block: BlockFacts = {
    disks: [{ drive: '', root: 'top', writeCache: true, ...live }],
    nodes: [top, node('net', 'file')],
    edges: [{ parent: 'top', child: 'net', role: 'file' }],
    jobs: [],
  };
  const words = `-nodefaults -object secret,id=s0,data=none ${drives} -device virtio-blk-pci,drive=top,id=disk0`;
  return factsOf(commandLine(words), { block, cwd: '/srv' });
}

const FILE = '-blockdev driver=file,node-name=net,filename=/srv/a.img';
const LUKS = `${FILE} -blockdev driver=luks,node-name=top,file=net,key-secret=s0`;
const WITHIN = `${FILE} -blockdev driver=qcow2,node-name=top,file=net,encrypt.format=luks,encrypt.key-secret=s0`;

describe('LUKS disks', () => {
  test("a LUKS disk is described as encrypted, without its secret, and opened with the destination's secret", () => {
    const raw = [factsWith(LUKS, node('top', 'luks')), { driver: 'luks' }] as const;
    const qcow2 = [
      factsWith(WITHIN, node('top', 'qcow2', { qcow2: QCOW2 })),
      { driver: 'qcow2', encrypt: { format: 'luks', 'key-secret': 'godwit-luks-top' } },
    ] as const;
    for (const [facts, opened] of [raw, qcow2]) {
      const { spec, findings } = describeGuest(facts);
      guestSpec.parse(spec);
      assert.deepEqual(findings, []);
      const [own] = spec.blockNodes ?? [];
      assert.ok(own !== undefined);
      assert.equal(own.luks, true);
      assert.doesNotMatch(JSON.stringify(spec), /s0|none"/);
      const [, format] = openings(own, '/mnt/a.img');
      assert.partialDeepStrictEqual(format, { 'node-name': 'top', file: 'net', ...opened });
      assert.match(JSON.stringify(format), /"key-secret":"godwit-luks-top"/);
      const [, word = ''] = secretWords([own], new Map(), new Map([['top', '/g/luks-top.key']]));
      assert.deepEqual(JSON.parse(word), {
        'qom-type': 'secret',
        id: 'godwit-luks-top',
        file: '/g/luks-top.key',
        format: 'raw',
      });
    }
  });

  test('a disk with another encryption than LUKS, or with a detached header, is refused', () => {
    const old = node('top', 'qcow2', { qcow2: { ...QCOW2, encryption: 'aes' } });
    const [first] = describeGuest(factsWith(WITHIN.replace('=luks', '=aes'), old)).findings;
    assert.match(first?.reason ?? '', /`encrypt` is unknown|another way than LUKS/);
    const detached = LUKS.replace('key-secret', 'header=h0,key-secret');
    const [second] = describeGuest(factsWith(detached, node('top', 'luks'))).findings;
    assert.match(second?.reason ?? '', /`header` is unknown/);
  });

  test('a LUKS disk is not moved on its host', () => {
    const [disk] = relocatable(factsWith(LUKS, node('top', 'luks')));
    assert.match(disk?.fixed ?? '', /it is encrypted/);
  });
});
