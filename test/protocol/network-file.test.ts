import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientFor, isOnNetwork } from '../../src/protocol/network-file.ts';

test('a path that a hypervisor opens with a client library is not a local file', () => {
  assert.equal(clientFor('nfs://filer/srv/a.raw'), 'nfs');
  assert.equal(clientFor('iscsi://filer/iqn.2001-04.com.example:vm/1'), 'iscsi');
  assert.equal(clientFor('rbd:vms/vm-100-disk-0:id=vm'), 'rbd');
  for (const file of ['/srv/iscsi://x', 'a.raw', '', 'ssh://filer/a']) {
    assert.equal(clientFor(file), undefined, file);
    assert.equal(isOnNetwork(file), false);
  }
  assert.equal(isOnNetwork('iscsi://filer/x'), true);
});
