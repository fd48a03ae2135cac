import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  lvmGroupName,
  lvmName,
  lvmNameProblem,
  zfsDataset,
  zfsNameProblem,
} from '../../src/protocol/volume-names.ts';

test('a logical volume has a name that LVM accepts and does not reserve', () => {
  for (const name of ['vm-100-disk-0', 'web1.root', '+x', '_a', 'a'.repeat(127), 'vg0-vm--1']) {
    assert.equal(lvmNameProblem(name), undefined, name);
    assert.ok(lvmName.safeParse(name).success);
  }
  const none = ['', '-a', '.', '..', 'a b', 'a/b', 'a"b', 'ä', 'a'.repeat(128), 'a\n'];
  for (const name of none) assert.match(lvmNameProblem(name) ?? '', /no such name|to itself/, name);
  for (const name of ['snapshot1', 'pvmove0', 'web_rimage_0', 'x_tdata', 'db_mlog']) {
    assert.equal(lvmNameProblem(name), 'LVM keeps names like that to itself');
    assert.equal(lvmName.safeParse(name).success, false);
  }
});

test('a volume group may have a name that is reserved for volumes only', () => {
  for (const name of ['snapshots', 'vg_rmeta']) assert.ok(lvmGroupName.safeParse(name).success);
  for (const name of ['', '-v', '..', 'a/b', 'v"']) {
    assert.equal(lvmGroupName.safeParse(name).success, false, name);
  }
});

test('no name that LVM accepts is an option of its programs, or ends a word of its selections', () => {
  fc.assert(
    fc.property(fc.string(), (name) => {
      if (lvmNameProblem(name) !== undefined) return;
      assert.match(name, /^[^-\s"'\\/][^\s"'\\/]*$/);
    }),
  );
});

test('a ZFS data set is a pool, or is below one', () => {
  for (const name of ['tank', 'rpool/data', 'tank/vm/a.b:c-d_e'])
    assert.ok(zfsDataset.safeParse(name).success, name);
  for (const name of [
    '',
    '/tank',
    'tank/',
    'a//b',
    '-a',
    'a/-b',
    '0a',
    'a@b',
    'a#b',
    'a b',
    'a/..',
  ])
    assert.equal(zfsDataset.safeParse(name).success, false, name);
});

test('no name that ZFS accepts is an option, a path, or a snapshot', () => {
  assert.equal(zfsNameProblem('vm-100-disk-0'), undefined);
  fc.assert(
    fc.property(fc.string(), (name) => {
      if (zfsNameProblem(name) !== undefined) return;
      assert.match(name, /^[^-\s"'\\/@#%.][^\s"'\\/@#%]*$/);
    }),
  );
});
