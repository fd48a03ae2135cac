import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskChecks, heldDevices } from '../../../src/drivers/libvirt/check.ts';

test('a block device must be the same at the destination under its path; a file and an empty drive need nothing', async () => {
  const disk = {
    name: 'vda',
    kind: 'block',
    source: '/dev/vg0/web1',
    format: 'raw',
    isWritten: true,
    isShareable: false,
    isLinked: false,
    pool: undefined,
  };
  const empty = { ...disk, name: 'sda', source: '', isWritten: false };
  const file = { ...disk, name: 'vdb', kind: 'network', source: 'rbd:pool/web1' };
  assert.deepEqual(heldDevices([disk, empty, file]), [
    { name: 'vda', file: '/dev/vg0/web1', isWritten: true },
  ]);
  assert.deepEqual(
    (await diskChecks('web1', [disk])).map(({ verdict }) => verdict),
    ['pass'],
  );
});
