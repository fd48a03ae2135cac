import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { blocksOf } from '../../../faults/disks/blocks.ts';

const node = (name: string, drv: string, file: string, more: object = {}): object => ({
  'node-name': name,
  drv,
  file,
  ...more,
});

describe('block state of a QEMU', () => {
  test("a QEMU's block state is its open files, its nodes by name, and their jobs", () => {
    const nodes = [
      node('#block12', 'qcow2', '/srv/a.qcow2'),
      node('#block34', 'file', '/srv/a.qcow2', { 'dirty-bitmaps': [{ name: 'b0' }, {}] }),
      node('copy', 'nbd', 'nbd+unix:///a?socket=s'),
    ];
    const found = blocksOf('a', [nodes, [{ device: 'copy0' }], [{ id: 'out0' }]]);
    assert.deepEqual(found.opened, ['file:/srv/a.qcow2', 'nbd:nbd+unix:///a?socket=s']);
    assert.deepEqual(found.nodes, ['copy']);
    assert.deepEqual([found.jobs, found.exports], [['copy0'], ['out0']]);
    assert.deepEqual(found.bitmaps, ['b0 on #block34', 'without a name on #block34']);
  });

  test("a QEMU's block state is refused if QEMU answered something else", () => {
    assert.throws(() => blocksOf('a', [{}, [], []]));
  });
});
