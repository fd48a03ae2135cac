import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { diskWriters, writtenFiles } from '../../../src/drivers/qemu/disk-writers.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fakeMonitor } from './fake-monitor.ts';

const soon = (): AbortSignal => AbortSignal.timeout(20_000);

test('what a QEMU writes to is each file and device of this host once, and the number of those over a network', async () => {
  const node = (drv: string, file: string, ro = false) => ({ 'node-name': '', drv, file, ro });
  const { client } = fakeMonitor(() => [
    node('qcow2', '/d/a.qcow2'),
    node('file', '/d/a.qcow2'),
    node('file', '/d/a.qcow2'),
    node('host_device', '/dev/vg/b'),
    node('file', '/d/base.raw', true),
    node('rbd', 'rbd:vms/c'),
    node('nbd', 'nbd://10.0.0.1', true),
    node('iscsi', 'iscsi://10.0.0.1/x/0'),
    node('null-co', 'null-co://'),
  ]);
  assert.deepEqual(await writtenFiles(client, soon()), {
    files: ['/d/a.qcow2', '/dev/vg/b'],
    remote: 2,
  });
});

test('a file that is not there, or that no QEMU has open, is written by nobody', async (t) => {
  const file = path.join(tempDir(t), 'a.raw');
  writeFileSync(file, '');
  assert.deepEqual(await diskWriters([file, `${file}.gone`], soon()), [[], []]);
  assert.deepEqual(await diskWriters([], soon()), []);
});
