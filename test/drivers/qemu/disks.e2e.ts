import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { mayWrite } from '../../../lab/witness/locks.ts';
import { makeQemuPlace, qemuPrograms } from '../../conformance/qemu-place.ts';
import { move, plug, takeBack } from './moved.ts';
import { untilSo } from '../../until.ts';

const run = promisify(execFile);
const programs = await qemuPrograms();
const MIB = 1024 ** 2;

/** QEMU reports its disks in an order that means nothing. */
function sorted(spec: unknown): object {
  const { blockNodes = [], devices, ...rest } = spec as Record<string, object[]>;
  const inOrder = (all: object[] = []): string[] =>
    all.map((one) => JSON.stringify(one)).toSorted();
  return { ...rest, blockNodes: inOrder(blockNodes), devices: inOrder(devices) };
}

describe('a guest with disks, recreated at the destination', () => {
  let top: string;
  const image = (name: string): string => path.join(top, name);

  before(async () => {
    top = await mkdtemp(path.join(tmpdir(), 'godwit-disks-'));
    const make = (...words: string[]) => run('qemu-img', ['create', '-q', ...words]);
    await make('-f', 'qcow2', image('base.qcow2'), '16M');
    for (const name of ['drive', 'node']) {
      const file = image(`${name}.qcow2`);
      await make('-f', 'qcow2', '-F', 'qcow2', '-b', image('base.qcow2'), file);
    }
    for (const name of ['implied', 'ide', 'late']) await make('-f', 'raw', image(name), '8M');
  });
  after(() => rm(top, { recursive: true, force: true }));

  const given = (): string[] => [
    '-drive',
    `if=none,id=vda,file=${image('drive.qcow2')},format=qcow2,cache=none,aio=native,discard=unmap,werror=stop`,
    ...'-device virtio-blk-pci,drive=vda,id=disk0,serial=s0 -device virtio-scsi-pci,id=scsi0'.split(
      ' ',
    ),
    '-blockdev',
    `driver=file,node-name=base-file,filename=${image('base.qcow2')},read-only=on`,
    '-blockdev',
    'driver=qcow2,node-name=base,file=base-file,read-only=on',
    '-blockdev',
    JSON.stringify({
      driver: 'qcow2',
      'node-name': 'top',
      backing: 'base',
      'lazy-refcounts': true,
      'l2-cache-size': MIB,
      cache: { direct: true },
      file: { driver: 'file', filename: image('node.qcow2') },
    }),
    ...'-device scsi-hd,drive=top,bus=scsi0.0,scsi-id=3'.split(' '),
    '-drive',
    `if=virtio,file=${image('implied')},format=raw,cache=writethrough`,
    '-drive',
    `file=${image('ide')},format=raw,index=0`,
    ...'-device pcie-root-port,id=rp1,slot=1'.split(' '),
  ];

  for (const program of programs) {
    test(`a guest has the same disks at the destination, each opened as it was (${program.version})`, async () => {
      const place = await makeQemuPlace({
        source: program.file,
        destination: program.file,
        machine: 'q35',
        extra: given(),
      });
      try {
        await plug(place, [
          ['blockdev-add', { driver: 'file', 'node-name': 'late', filename: image('late') }],
          ['device_add', { driver: 'virtio-blk-pci', id: 'late0', drive: 'late', bus: 'rp1' }],
        ]);
        const { before: was, after: is, serial } = await move(place);
        assert.deepEqual(sorted(is.spec), sorted(was.spec));
        const images = (from: typeof is): string[] =>
          (from.disks ?? []).map((disk) => JSON.stringify(disk.images)).toSorted();
        assert.deepEqual(images(is), images(was));
        assert.match(serial, /^\.+$/, 'its memory is intact');
        const first = is.disks?.find(({ name }) => name === 'disk0');
        assert.equal(is.disks?.length, 5);
        assert.deepEqual(
          first?.images.map(({ format, bytes, readOnly }) => [format, bytes, readOnly]),
          [
            ['qcow2', 16 * MIB, false],
            ['qcow2', 16 * MIB, true],
          ],
        );
      } finally {
        await place.dispose();
      }
    });

    test(`a guest with an image whose data is in another file is refused by name (${program.version})`, async () => {
      const linked = image(`linked-${program.version}.qcow2`);
      const data = `data_file=${linked}.data`;
      await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', data, linked, '8M']);
      const place = await makeQemuPlace({
        source: program.file,
        destination: program.file,
        machine: 'q35',
        extra: [
          ...`-drive if=none,id=vdz,file=${linked},format=qcow2`.split(' '),
          ...'-device virtio-blk-pci,drive=vdz,id=disk9'.split(' '),
        ],
      });
      try {
        await assert.rejects(move(place), (error: Error) => {
          assert.match(error.message, /GODWIT_DISK_LINKED/);
          assert.match(error.message, /disk disk9 of .* is not complete in one file/);
          return true;
        });
      } finally {
        await place.dispose();
      }
    });

    for (const mode of ['precopy', 'postcopy'] as const) {
      test(`a guest has its images back when it is taken back after the handover (${mode}, ${program.version})`, async () => {
        const plan = { source: program.file, destination: program.file, machine: 'q35' };
        const place = await makeQemuPlace({ ...plan, extra: given() });
        try {
          const files = ['drive.qcow2', 'implied', 'ide'].map(image);
          const look = async (source: number, destination: number): Promise<void> => {
            for (const file of files) {
              // 7.2 says that post-copy is active, and releases them only then.
              await untilSo(async () => !(await mayWrite(source, file)));
              // In post-copy 7.2 takes hold of them with the state of the devices, before it is told to run.
              const early = mode === 'postcopy' && program.version === '7.2';
              if (!early) assert.equal(await mayWrite(destination, file), false, 'not yet');
            }
          };
          const pid = await takeBack(place, look, mode);
          for (const file of files) assert.ok(await mayWrite(pid, file), file);
        } finally {
          await place.dispose();
        }
      });
    }
  }
});
