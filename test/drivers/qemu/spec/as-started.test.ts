import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { whyNotAsStarted, writtenImages } from '../../../../src/drivers/qemu/spec/as-started.ts';
import type { BlockFacts, LiveNode } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { nextName } from '../../../../src/drivers/qemu/spec/moved-names.ts';

const node = (name: string, driver: string, file: string, readOnly = false): LiveNode => ({
  name,
  driver,
  file,
  readOnly,
  direct: false,
  noFlush: false,
  detectZeroes: 'off',
  encrypted: false,
  bytes: 512,
  allocatedBytes: 512,
  backing: undefined,
  volatileBitmaps: 0,
});

const ARGV = [
  'qemu-system-x86_64',
  '-blockdev',
  'driver=file,filename=/srv/one.qcow2,node-name=f0',
  '-blockdev',
  'driver=qcow2,file=f0,node-name=n0',
  '-device',
  'virtio-blk-pci,drive=n0,id=disk0',
  '-drive',
  'if=none,id=d1,file=two.qcow2,format=qcow2',
  '-device',
  '{"driver":"virtio-blk-pci","drive":"d1","id":"disk1"}',
];
const DEVICES = ['disk0', 'disk1'];

interface Running {
  /** Root and file of the disk on a `-blockdev`, and of the one on a `-drive`. */
  readonly one?: readonly [root: string, file: string];
  readonly two?: readonly [root: string, file: string];
  readonly readOnly?: boolean;
  readonly devices?: readonly string[];
}

function blocksOf({
  one: [one, oneFile] = ['n0', '/srv/one.qcow2'],
  two: [two, twoFile] = ['#block1', '/srv/two.qcow2'],
  readOnly = false,
}: Running): BlockFacts {
  const live = { writeCache: true, builtIn: undefined };
  return {
    disks: [
      { drive: '', qdev: 'disk0', root: one, ...live },
      { drive: 'd1', qdev: 'disk1', root: two, ...live },
    ],
    nodes: [
      node(one, 'qcow2', oneFile, readOnly),
      node('c0', 'file', oneFile),
      node(two, 'qcow2', twoFile, readOnly),
      node('c1', 'file', twoFile),
    ],
    edges: [
      { parent: one, child: 'c0', role: 'file' },
      { parent: two, child: 'c1', role: 'file' },
    ],
    jobs: [],
  };
}

function why(running: Running = {}): string | undefined {
  const devices = (running.devices ?? DEVICES).map((id) => ({
    id,
    path: `/machine/peripheral/${id}`,
  }));
  return whyNotAsStarted(ARGV, '/srv', { block: blocksOf(running), devices });
}

describe('a command line compared with the running machine', () => {
  test('the command line of an unchanged guest starts the same machine', () => {
    assert.equal(why(), undefined);
  });

  test("a snapshot's image on top makes the command line refused, on either kind of disk", () => {
    assert.match(why({ one: ['over0', '/srv/one.over'] }) ?? '', /disk0 is on \/srv\/one\.over/);
    assert.match(why({ two: ['#block9', '/srv/two.over'] }) ?? '', /d1 is on \/srv\/two\.over/);
  });

  test('an image that a merge left on top makes the command line refused, even if it names that node', () => {
    // Started on n0 above f0; after a commit the guest writes to f0 itself.
    assert.match(why({ one: ['f0', '/srv/base.raw'] }) ?? '', /disk0 is on \/srv\/base\.raw/);
  });

  test('an image that Godwit moved is accepted, and the command line gets its new path', () => {
    assert.equal(why({ one: [nextName('n0', new Set()), '/new/one.qcow2'] }), undefined);
    assert.equal(why({ two: [nextName('block1', new Set()), '/new/two.qcow2'] }), undefined);
  });

  test('a read-only medium may be another one', () => {
    const one = ['cd1', '/srv/other.iso'] as const;
    assert.equal(why({ one, readOnly: true }), undefined);
  });

  test('a device that was plugged in or unplugged since is named', () => {
    assert.match(why({ devices: [...DEVICES, 'nic7'] }) ?? '', /nic7 was plugged in/);
    assert.match(why({ devices: ['disk0'] }) ?? '', /disk1 was unplugged/);
    assert.equal(why({ devices: [...DEVICES, 'debugcon'] }), undefined);
  });

  test('any other image of a disk is named', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9]{0,8}$/);
    fc.assert(
      fc.property(name, name, fc.boolean(), (root, file, isFirst) => {
        fc.pre(root !== 'n0' && root !== 'd1' && file !== 'two.qcow2');
        const other = [root, `/srv/${file}.x`] as const;
        const said = why(isFirst ? { one: other } : { two: other });
        assert.ok(said?.includes(`/srv/${file}.x`) === true, said ?? 'nothing is said');
      }),
    );
  });

  test('the images that a start would write to are listed, without media and without remote ones', () => {
    assert.deepEqual(writtenImages(blocksOf({}), '/srv'), ['/srv/one.qcow2', '/srv/two.qcow2']);
    assert.deepEqual(writtenImages(blocksOf({ readOnly: true }), '/srv'), []);
    const remote = blocksOf({ two: ['#block1', 'nbd://10.0.0.1/two'] });
    assert.deepEqual(writtenImages(remote, '/srv'), ['/srv/one.qcow2']);
  });
});
