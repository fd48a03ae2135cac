import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import {
  diskWriters,
  imageFiles,
  writerChecks,
  writtenFiles,
} from '../../../../src/drivers/qemu/images/disk-writers.ts';
import { tempDir } from '../../../rpc/test-contract.ts';
import { fakeMonitor } from '../fake-monitor.ts';

const soon = (): AbortSignal => AbortSignal.timeout(20_000);

test('the written files and devices of a QEMU are listed once, with the number of network disks', async () => {
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
  const all = ['/d/a.qcow2', '/dev/vg/b', '/d/base.raw'];
  assert.deepEqual([...(await imageFiles(client, soon()))], all);
});

test('a missing file, or one that no QEMU has open, has no writer', async (t) => {
  const file = path.join(tempDir(t), 'a.raw');
  writeFileSync(file, '');
  assert.deepEqual(await diskWriters([file, `${file}.gone`], soon()), [[], []]);
  assert.deepEqual(await diskWriters([], soon()), []);
});

test('another guest that may write to a disk here causes a warning before the move, and the guest itself does not', async () => {
  const writersOf = (files: readonly string[]): Promise<(readonly string[])[]> =>
    Promise.resolve(
      files.map((file) => (file === '/d/a.raw' ? ['db1 (process 7)', 'other (process 8)'] : [])),
    );
  const at = { host: 'b', guest: 'db1' };
  const files = ['rbd:vms/c', '/d/b.raw', '/d/a.raw'];
  const [found, ...more] = await writerChecks(at, files, soon(), writersOf);
  assert.deepEqual([found?.name, found?.verdict, more.length], ['disks', 'warn', 0]);
  assert.equal(found?.evidence, 'other (process 8) may write to /d/a.raw at b');
  assert.match(found?.hint ?? '', /share-rw/);
  // An agent that may not look into processes says nothing of them.
  const denied = (): Promise<never> => Promise.reject(new Error('EACCES'));
  assert.deepEqual(await writerChecks(at, files, soon(), denied), []);
});
