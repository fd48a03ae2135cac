import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BlockFacts, LiveNode } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { withMovedImages } from '../../../../src/drivers/qemu/spec/moved-argv.ts';
import { nextName } from '../../../../src/drivers/qemu/spec/moved-names.ts';

const node = (name: string, driver: string, file: string): LiveNode => ({
  name,
  driver,
  file,
  readOnly: false,
  direct: false,
  noFlush: false,
  detectZeroes: 'off',
  encrypted: false,
  bytes: 512,
  allocatedBytes: 512,
  backing: undefined,
  volatileBitmaps: 0,
});

/** One disk, on a format node of this name, with its file's. */
function blocksOf(root: string, child: string, file: string, drive = ''): BlockFacts {
  const live = { qdev: 'disk0', writeCache: true, builtIn: undefined };
  return {
    disks: [{ drive, root, ...live }],
    nodes: [node(root, 'raw', file), node(child, 'file', file)],
    edges: [{ parent: root, child, role: 'file' }],
    jobs: [],
  };
}

const moved = (name: string): string => nextName(name, new Set());

describe('the command line after a disk move', () => {
  test('the command line names the new image if each node was given separately', () => {
    const argv = [
      '-blockdev',
      '{"driver":"file","node-name":"f0","filename":"/old"}',
      '-blockdev',
      'driver=file,node-name=f1,filename=/other',
    ];
    const block = blocksOf(moved('n0'), moved('f0'), '/new');
    const [, first, , second] = withMovedImages(argv, '/', block);
    assert.deepEqual(JSON.parse(first ?? ''), {
      driver: 'file',
      'node-name': 'f0',
      filename: '/new',
    });
    assert.equal(second, argv[3]);
  });

  test('the command line names the new image if the file was given within its format, in either notation', () => {
    const block = blocksOf(moved('n0'), '#block7', '/a,b');
    const json = '{"node-name":"n0","driver":"raw","file":{"driver":"file","filename":"/old"}}';
    const [, first] = withMovedImages(['-blockdev', json], '/', block);
    assert.match(first ?? '', /"filename":"\/a,b"/);
    const keys = 'driver=raw,node-name=n0,file.driver=file,file.filename=/old,discard=unmap';
    const [, second] = withMovedImages(['-blockdev', keys], '/', block);
    assert.equal(second, keys.replace('/old', '/a,,b'));
  });

  test("the command line names the new image in a drive, by the drive's id", () => {
    const argv = ['-drive', 'if=none,id=vda,file=old.raw,format=raw'];
    const block = blocksOf(moved('#block1'), moved('#block2'), '/vm/new.raw', 'vda');
    assert.deepEqual(withMovedImages(argv, '/vm', block), [
      '-drive',
      'if=none,id=vda,file=/vm/new.raw,format=raw',
    ]);
  });

  test('the command line is unchanged if nothing was moved', () => {
    const argv = ['-m', '1G', '-drive', 'if=none,id=vda,file=old.raw,format=raw', '-S'];
    assert.deepEqual(
      withMovedImages(argv, '/vm', blocksOf('#b1', '#b2', '/vm/old.raw', 'vda')),
      argv,
    );
    assert.deepEqual(withMovedImages(['-m', '1G'], '/', blocksOf('n', 'f', '/x')), ['-m', '1G']);
  });
});
