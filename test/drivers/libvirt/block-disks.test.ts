import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskChecks } from '../../../src/drivers/libvirt/check.ts';

test('a block device is warned of: nobody looks whether the other host has the same one', async () => {
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
  const [found, ...more] = await diskChecks('web1', [disk]);
  assert.deepEqual([found?.verdict, more], ['warn', []]);
  assert.match(
    found?.evidence ?? '',
    /the block device \/dev\/vg0\/web1: neither Godwit nor libvirt/,
  );
});
