import { handleOf, launchIn } from '../../../../src/drivers/qemu/handle.ts';
import assert from 'node:assert/strict';
import { mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { DiskRelocator, GuestDisk, RelocationSight } from '../../../../src/port/disks.ts';
import type { SourceSession } from '../../../../src/port/direct.ts';
import { formatImages, makeEmptyFile } from '../../../../src/drivers/qemu/images/make-image.ts';
import { connectMonitor } from '../../../../src/drivers/qemu/qmp/connect.ts';
import type { QmpClient } from '../../../../src/drivers/qemu/qmp/client.ts';
import { mayWrite } from '../../../../lab/witness/locks.ts';
import { makeQemuPlace, qemuPrograms, type QemuPlace } from '../../../conformance/qemu-place.ts';
import { allocated, contentOf } from './content.ts';
import { openSource } from './pair.ts';
import { untilSo } from '../../../until.ts';

const MIB = 1024 ** 2;
const BYTES = 64 * MIB;

interface Kind {
  readonly what: string;
  readonly format: 'raw' | 'qcow2';
  readonly based: boolean;
  words(file: string): string[];
}

const device = 'virtio-blk-pci,id=disk0';
const json = (...nodes: object[]): string[] =>
  nodes.flatMap((node) => ['-blockdev', JSON.stringify(node)]);

const KINDS: readonly Kind[] = [
  {
    what: 'raw, given as a drive',
    format: 'raw',
    based: false,
    words: (file) => [
      '-drive',
      `if=none,id=vda,file=${file},format=raw`,
      '-device',
      `${device},drive=vda`,
    ],
  },
  {
    what: 'raw, without a layer for its format',
    format: 'raw',
    based: false,
    words: (file) => [
      ...json({ driver: 'file', 'node-name': 'top', filename: file }),
      '-device',
      `${device},drive=top`,
    ],
  },
  {
    what: 'qcow2 on a backing file, of named nodes',
    format: 'qcow2',
    based: true,
    words: (file) => [
      ...json(
        { driver: 'file', 'node-name': 'top-file', filename: file },
        {
          driver: 'qcow2',
          'node-name': 'top',
          file: 'top-file',
          backing: {
            driver: 'raw',
            'read-only': true,
            file: { driver: 'file', filename: `${file}.base`, 'read-only': true },
          },
        },
      ),
      '-device',
      `${device},drive=top`,
    ],
  },
];

for (const program of await qemuPrograms()) {
  for (const kind of KINDS) {
    describe(
      `QEMU ${program.version} moves a disk that is ${kind.what}`,
      { timeout: 120_000 },
      () => {
        let directory: string;
        let place: QemuPlace;
        let session: SourceSession;
        let relocator: DiskRelocator;
        /** A monitor that only the test uses. */
        let beside: QmpClient;
        let disk: GuestDisk;
        const signal = AbortSignal.timeout(110_000);
        const from = (): string => path.join(directory, 'old.img');
        const to = (name = 'new'): string => path.join(directory, `${name}.img`);

        beforeEach(async () => {
          directory = await mkdtemp(path.join(tmpdir(), 'godwit-relocate-'));
          await makeImage();
          const both = { source: program.file, destination: program.file, machine: 'q35' };
          const side = path.join(directory, 'side.sock');
          const extra = [...kind.words(from()), '-qmp', `unix:${side},server=on,wait=off`];
          place = await makeQemuPlace({ ...both, extra, keptMib: 2, dirtyMib: 1 });
          session = await openSource(place, signal);
          const owner = { host: 'a', guest: place.guest, side: 'source', path: side } as const;
          const user = 'anybody';
          beside = await connectMonitor({ ...owner, user }, 5000, signal);
          assert.ok(session.relocator !== undefined);
          ({ relocator } = session);
          disk = await theDisk();
          await io('write -P 1 0 1M');
        });
        afterEach(async () => {
          beside?.close();
          await session?.close();
          await place?.dispose();
          await rm(directory, { recursive: true, force: true });
        });

        async function makeImage(): Promise<void> {
          await makeEmptyFile(from(), kind.format === 'raw' ? BYTES : 0);
          if (kind.format === 'raw') return;
          const base = `${from()}.base`;
          await makeEmptyFile(base, BYTES);
          const handle = await open(base, 'r+');
          await handle.write(Buffer.alloc(MIB, 0xba), 0, MIB, 8 * MIB);
          await handle.close();
          const below = { 'backing-file': base, 'backing-fmt': 'raw' };
          const creation = (file: string) => ({ driver: 'qcow2', size: BYTES, file, ...below });
          const blanks = [{ file: from(), creation }];
          await formatImages({ file: program.file, host: 'a' }, blanks, signal);
        }

        async function theDisk(): Promise<GuestDisk> {
          const [found, ...more] = await relocator.disks(signal);
          assert.ok(found !== undefined && more.length === 0);
          assert.equal(found.fixed, undefined);
          return found;
        }

        /** As the guest would. */
        async function io(command: string): Promise<void> {
          const line = `qemu-io -d /machine/peripheral/disk0/virtio-backend "${command}"`;
          const asked = { 'command-line': line };
          const reported = await beside.execute('human-monitor-command', asked, signal);
          assert.doesNotMatch(String(reported), /fail|error|invalid/i, command);
        }

        async function wait(job: RelocationSight['job']): Promise<RelocationSight> {
          let seen: RelocationSight | undefined;
          await untilSo(async () => {
            signal.throwIfAborted();
            seen = await relocator.look(disk.work, signal);
            assert.notEqual(seen.job, 'failed', JSON.stringify(seen));
            return seen.job === job;
          });
          assert.ok(seen !== undefined);
          return seen;
        }

        async function copied(file: string): Promise<void> {
          await writeFile(file, '');
          await relocator.begin(disk.work, file, undefined, signal);
          await wait('ready');
          await relocator.setWriteBlocking(disk.work, signal);
          await io('write -P 2 2M 1M');
        }

        async function moved(file: string): Promise<void> {
          await copied(file);
          await relocator.complete(disk.work, signal);
          assert.equal((await wait('pending')).on, 'old');
          await relocator.finalize(disk.work, signal);
          assert.equal((await relocator.look(disk.work, signal)).on, 'new');
          assert.deepEqual(await relocator.settle(disk.work, file, signal), []);
          assert.deepEqual(await relocator.settle(disk.work, file, signal), []);
        }

        /** Which of these files its QEMU may write to. */
        async function writable(...files: string[]): Promise<boolean[]> {
          return Promise.all(files.map((file) => mayWrite(handleOf(session.handle).pid, file)));
        }

        test('a disk moves to a second and a third place, with all that was written and nothing more', async () => {
          await moved(to());
          await io('write -P 3 4M 1M');
          assert.deepEqual(await writable(from(), to()), [false, true]);
          const now = await theDisk();
          assert.equal(now.file, to());
          disk = now;
          await moved(to('third'));
          await io('read -P 1 0 1M');
          await io('read -P 2 2M 1M');
          await io('read -P 3 4M 1M');
          if (kind.based) await io('read -P 0xba 8M 1M');
          assert.deepEqual(await writable(from(), to(), to('third')), [false, false, true]);
          assert.ok((await allocated(to('third'))) < 8 * MIB, `${await allocated(to('third'))}`);
          assert.equal((await stat(to('third'))).size >= MIB, true);
          const { checks } = await session.inspect(
            { mode: 'precopy', streams: 1, compress: 'none' },
            signal,
          );
          assert.deepEqual(
            checks.filter(({ verdict }) => verdict === 'refuse'),
            [],
          );
          const { argv } = launchIn((await session.launch?.(signal)) ?? {}, 'db1', 'a');
          assert.ok(
            argv.some((word) => word.includes(to('third'))),
            argv.join(' '),
          );
          assert.ok(!argv.some((word) => word.includes(`${from()}"`)), argv.join(' '));
        });

        for (const late of [false, true]) {
          test(`a disk stays when the move is dropped ${late ? 'right before the switch' : 'amid it'}`, async () => {
            await copied(to());
            if (late) {
              await relocator.complete(disk.work, signal);
              await wait('pending');
            }
            await relocator.drop(disk.work, signal);
            await relocator.drop(disk.work, signal);
            const { on, job, open: isOpen } = await relocator.look(disk.work, signal);
            assert.deepEqual([on, job, isOpen], ['old', 'none', false]);
            await io('write -P 3 4M 1M');
            await io('read -P 2 2M 1M');
            assert.deepEqual(await writable(from(), to()), [true, false]);
            // And the next one may begin.
            await rm(to());
            await moved(to());
            await io('read -P 3 4M 1M');
          });
        }

        test('a disk moves to an image with the same content', async (t) => {
          if (kind.format !== 'raw') return t.skip('the images of a chain are compared by reading');
          await moved(to());
          await io('flush');
          const [was, is] = await Promise.all(
            [from(), to()].map((file) => contentOf(program.file, file, kind.format)),
          );
          assert.equal(is, was);
        });
      },
    );
  }
}
