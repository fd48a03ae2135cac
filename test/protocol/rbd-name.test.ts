import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  cephFile,
  formatRbd,
  imageSpec,
  parseRbd,
  rbdPoolName,
} from '../../src/protocol/rbd-name.ts';

describe('an RBD image', () => {
  test("an RBD image is read in QEMU's format, with its options", () => {
    assert.deepEqual(parseRbd('rbd:vms/vm-100-disk-0'), { pool: 'vms', image: 'vm-100-disk-0' });
    const text = 'rbd:vms/site-a/disk:id=vm:conf=/etc/ceph/ceph.conf:keyring=/etc/pve/priv/k';
    const place = {
      pool: 'vms',
      namespace: 'site-a',
      image: 'disk',
      user: 'vm',
      conf: '/etc/ceph/ceph.conf',
      keyring: '/etc/pve/priv/k',
    };
    assert.deepEqual(parseRbd(text), place);
    assert.equal(formatRbd(place), text);
    assert.equal(imageSpec(place), 'vms/site-a/disk');
  });

  test('an RBD name without a pool, of a snapshot, or ambiguous for Ceph is not an image', () => {
    for (const text of [
      '/rbd',
      'rbd:',
      'rbd:vms',
      'rbd:vms/',
      'rbd:vms/a@s1',
      'rbd:/a',
      'rbd:a/b/c/d',
    ]) {
      assert.equal(parseRbd(text), undefined, text);
    }
    for (const text of [
      'rbd:vms/../a',
      'rbd:vms/-p',
      'rbd:vms/a b',
      'rbd:vms/a:x',
      'rbd:vms/a\\:b',
    ]) {
      assert.equal(parseRbd(text), undefined, text);
    }
    for (const name of ['vms', 'vms/site-a'])
      assert.equal(rbdPoolName.safeParse(name).success, true);
    for (const name of ['', '-x', 'vms/', 'a/b/c', 'vms:x']) {
      assert.equal(rbdPoolName.safeParse(name).success, false, name);
    }
    for (const file of ['ceph.conf', '/etc/ceph:x', '/']) {
      assert.equal(cephFile.safeParse(file).success, false, file);
    }
  });

  test('an RBD image is unchanged after a round trip', () => {
    const name = fc.stringMatching(/^[a-z0-9_][a-z0-9._-]{0,20}$/);
    const file = fc.stringMatching(/^\/[a-z0-9./= -]{1,20}$/);
    const some = fc.record(
      {
        pool: name,
        namespace: name,
        image: name,
        user: name,
        conf: file,
        keyring: file,
        keyFile: file,
      },
      { requiredKeys: ['pool', 'image'], noNullPrototype: true },
    );
    fc.assert(
      fc.property(some, (place) => {
        assert.deepEqual(parseRbd(formatRbd(place)), place);
      }),
    );
  });
});
