import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { passedThrough, shown } from '../../../../src/drivers/qemu/passthrough/device.ts';
import { anyPassedThrough, VF, VGPU } from './samples.ts';

test('a device is shown by the name that people know', () => {
  assert.equal(shown(VF), '15b3:101e');
  assert.equal(shown(VGPU), 'GRID T4-2Q');
  assert.equal(shown({ kind: 'mdev', type: 'nvidia-63', driver: 'x' }), 'nvidia-63');
});

test("a source's description of a device is accepted unchanged, and never with an address on that host", () => {
  fc.assert(
    fc.property(anyPassedThrough, (what) => {
      assert.deepEqual(passedThrough.parse(what), what);
    }),
  );
  for (const more of [{ host: '0000:3b:00.2' }, { sysfsdev: '/sys/x' }, { driver: '../x' }])
    assert.equal(passedThrough.safeParse({ ...VF, ...more }).success, false);
});
