import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { remainsOf, type HostState } from '../../meddle/remains.ts';
import { deviceId, fileOf, groupOf, isHypervisorOf } from '../../meddle/witness.ts';

const bare: HostState = {
  host: 'b',
  processes: ['node agent.ts'],
  links: ['br0'],
  ports: [],
  files: ['state/store.json'],
};
const guest = { name: 'm1', at: ['b'], owned: [] };

describe('remains of a move', () => {
  const found = (more: Partial<HostState>, where: Partial<typeof guest> = {}): string[] =>
    remainsOf([bare], [{ ...bare, ...more }], { ...guest, ...where });
  const held = {
    processes: ['node agent.ts', 'qemu-system-x86_64'],
    links: ['br0', 'gw1ee858e7n0'],
    files: [
      'state/store.json',
      'state/guests/m1',
      'state/guests/m1/qmp.sock',
      'storage/m1/disk0.raw',
    ],
  };

  test('a guest has its process, its port and its files on its host', () => {
    assert.deepEqual(found(held), []);
  });

  test('no part of the guest may be on the other host', () => {
    const left = found(held, { at: ['a'] });
    assert.equal(left.length, 5, left.join());
  });

  test("a file of the owner may stay, and so may the agents' files", () => {
    const files = [...bare.files, 'storage/m1/disk0.raw', 'state/migrations/m-1.jsonl'];
    assert.deepEqual(found({ files }, { at: ['a'], owned: ['storage/m1/disk0.raw'] } as never), []);
  });

  test('the empty directory of receivers may stay, and a record in it may not', () => {
    const files = [...bare.files, 'state/receivers'];
    assert.deepEqual(found({ files }), []);
    const record = 'state/receivers/m-1-a.json';
    assert.deepEqual(found({ files: [...files, record] }), [`b: ${record}`]);
  });
});

describe('reads of the witness', () => {
  test('the witness reads a device by the path of its backend, or by its id', () => {
    assert.equal(deviceId('/machine/peripheral/disk0-dev/virtio-backend'), 'disk0-dev');
    assert.equal(deviceId('cd0-dev'), 'cd0-dev');
  });

  test('the witness reads the file of a plain name and of a description in JSON', () => {
    assert.equal(fileOf({ image: { filename: '/a.raw' } }), '/a.raw');
    const described = { driver: 'qcow2', file: { driver: 'file', filename: '/b.qcow2' } };
    assert.equal(fileOf({ image: { filename: `json:${JSON.stringify(described)}` } }), '/b.qcow2');
    assert.equal(fileOf(undefined), '');
  });

  test('the witness reads the throttle group of a disk, if it has one', () => {
    const file = `json:${JSON.stringify({ driver: 'throttle', 'throttle-group': 'g0', file: 'x' })}`;
    assert.equal(groupOf({ file }), 'g0');
    assert.equal(groupOf({ file: '/a.raw' }), undefined);
  });

  test('the witness reads the hypervisor of a guest by its name', () => {
    assert.ok(
      isHypervisorOf(['/usr/bin/qemu-system-x86_64', '-name', 'guest=m1,debug-threads=on'], 'm1'),
    );
    assert.ok(!isHypervisorOf(['/usr/bin/qemu-system-x86_64', '-name', 'm12'], 'm1'));
    assert.ok(!isHypervisorOf(['bash', '-name', 'm1'], 'm1'));
  });
});
