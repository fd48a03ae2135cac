import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { promisify } from 'node:util';
import type { DiskSample } from '../../../../src/port/disks.ts';
import { copyName } from '../../../../src/drivers/qemu/mirror/jobs.ts';
import { hasCode } from '../../../../src/errors.ts';
import { qemuPrograms } from '../../../conformance/qemu-place.ts';
import { allocated, contentOf, type Range } from './content.ts';
import { MIB, openSource, withPair, type DiskPlan, type Pair } from './pair.ts';

const run = promisify(execFile);
const GIB = 1024 * MIB;
const SMALL: DiskPlan[] = [{ format: 'qcow2', bytes: 64 * MIB }];

/** Jobs and nodes of the source's QEMU that it had not before. */
async function leftOf({ beside, nodes }: Pair): Promise<string[]> {
  const jobs = (await beside.source.execute('query-jobs', {})) as { id: string }[];
  const all = await beside.source.execute('query-named-block-nodes', { flat: true });
  const names = (all as { 'node-name': string }[]).map((each) => each['node-name']);
  const own = new Set(nodes.flatMap((node) => [node, node.replace('node', 'file')]));
  return [...jobs.map(({ id }) => id), ...names.filter((name) => !own.has(name))];
}

async function untilState(pair: Pair, state: DiskSample['state']): Promise<DiskSample> {
  let seen: DiskSample | undefined;
  await pair.until(async () => {
    [seen] = await pair.source.sample(pair.nodes, pair.signal);
    return seen?.state === state;
  });
  assert.ok(seen);
  return seen;
}

/** The guest is paused, its copies end, and nobody writes to them from outside any more. */
async function endCopies({ beside, source, target, nodes, signal }: Pair): Promise<void> {
  await beside.source.execute('stop', {});
  await source.finish(nodes, signal);
  await target.end(signal);
}

async function assertSame(
  program: string,
  { files }: Pair,
  plans: readonly DiskPlan[],
  ranges?: readonly Range[],
): Promise<void> {
  for (const [index, { format }] of plans.entries()) {
    const [here, there] = [files.source[index] ?? '', files.destination[index] ?? ''];
    const is = await contentOf(program, there, format, ranges);
    assert.equal(is, await contentOf(program, here, format, ranges), `disk ${index}`);
  }
}

/** A file system of so many bytes; undefined where this user may mount none. */
async function smallSpace(bytes: number): Promise<string | undefined> {
  const top = await mkdtemp(path.join(tmpdir(), 'godwit-full-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'godwit', top]);
    return top;
  } catch {
    await rm(top, { recursive: true });
    return undefined;
  }
}

for (const { file: program, version } of await qemuPrograms()) {
  describe(`disks copied from one QEMU ${version} to another`, () => {
    test('copied disks are the same at the end, and thin ones stay thin', async (t) => {
      const plans: DiskPlan[] = [
        { format: 'qcow2', bytes: 20 * GIB },
        { format: 'raw', bytes: 256 * MIB },
        { format: 'raw', bytes: 64 * MIB, unmap: true },
      ];
      await withPair(program, plans, async (pair) => {
        const { source, nodes, signal, joint, files, found } = pair;
        assert.equal(found.uncopyable, undefined);
        await pair.io(0, 'write -P 0x11 1M 8M');
        await pair.io(1, 'write -P 0x21 128M 8M');
        await source.start(nodes, joint.near, signal);
        await source.start(nodes, joint.near, signal);
        await pair.io(0, 'write -P 0x12 15G 1M');
        await pair.io(2, 'write -P 0x31 3M 64k');
        await pair.ready();
        await assert.rejects(source.finish(nodes, signal), (error) => {
          return hasCode(error, 'GODWIT_DISK_FAILED') && /still writes/.test(error.message);
        });
        const able = await source.setWriteBlocking(nodes, signal);
        assert.equal(able, !version.startsWith('7.'));
        // The rest of a cluster and a hole, written once it goes to both at once.
        await pair.io(0, 'write -P 0x13 9M 4k');
        await pair.io(1, 'write -P 0x22 200M 4k');
        await endCopies(pair);
        for (const index of plans.keys()) {
          const here = await allocated(files.source[index] ?? '');
          const there = await allocated(files.destination[index] ?? '');
          t.diagnostic(`disk ${index}: ${here} bytes on the source's storage, ${there} there`);
          assert.ok(there <= here + MIB, `${there} bytes of a disk that takes ${here}`);
        }
        assert.ok(joint.bytes < 24 * MIB, `${joint.bytes} bytes went over`);
        await assertSame(program, pair, plans, [
          [0, 12 * MIB],
          [15 * GIB - MIB, 3 * MIB],
          [128 * MIB, 128 * MIB],
        ]);
        // Said twice, also by a mover that has taken over: nothing.
        await source.finish(nodes, signal);
        await pair.target.end(signal);
        await source.drop(signal);
        assert.deepEqual(await leftOf(pair), []);
      });
    });

    test('disk copies continue from their progress after the connection was lost, even with a new mover', async (t) => {
      await withPair(program, SMALL, async (pair) => {
        const { place, nodes, signal, joint } = pair;
        await pair.io(0, 'write -P 0x11 0 48M');
        joint.silentAfter = 16 * MIB;
        await pair.source.start(nodes, joint.near, signal);
        await pair.until(() => joint.bytes > 16 * MIB);
        await joint.cut();
        const stands = await untilState(pair, 'broken');
        assert.equal(stands.failure?.kind, 'target');
        assert.ok(stands.copiedBytes < 48 * MIB, 'it was in the middle');
        await pair.io(0, 'write -P 0x12 0 1M');
        await assert.rejects(pair.source.start(nodes, joint.near, signal), (error) => {
          return hasCode(error, 'GODWIT_DISK_FAILED') && /cannot be reached/.test(error.message);
        });
        await assert.rejects(pair.source.finish(nodes, signal), { code: 'GODWIT_DISK_FAILED' });
        await pair.session.close();
        const session = await openSource(place, signal);
        try {
          const source = session.disks ?? assert.fail();
          const next = { ...pair, source };
          await joint.open();
          await source.start(nodes, joint.near, signal);
          await pair.ready(source);
          await endCopies(next);
          t.diagnostic(`${joint.bytes} bytes went over for ${49 * MIB}`);
          // What was under way and never answered is sent again.
          assert.ok(joint.bytes < (49 + 17) * MIB, `${joint.bytes} bytes went over`);
          await assertSame(program, pair, SMALL);
        } finally {
          await session.close();
        }
      });
    });

    test('disk copies end whole although their idle connection broke, once there is a connection again', async () => {
      await withPair(program, SMALL, async (pair) => {
        const { source, nodes, signal, joint, beside } = pair;
        await pair.io(0, 'write -P 0x11 0 4M');
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        await beside.source.execute('stop', {});
        await joint.cut();
        assert.equal((await untilState(pair, 'ready')).state, 'ready');
        await joint.open();
        await endCopies(pair);
        await assertSame(program, pair, SMALL);
      });
    });

    test('disk copies are given up at the end if no connection is left', async () => {
      await withPair(program, SMALL, async (pair) => {
        const { source, nodes, signal, joint, beside } = pair;
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        await beside.source.execute('stop', {});
        await joint.cut();
        await assert.rejects(source.finish(nodes, signal), { code: 'GODWIT_DISK_FAILED' });
        await source.drop(signal);
        assert.deepEqual(await leftOf(pair), []);
      });
    });

    test('disk copies let the guest write on when the destination falls silent and its connection is shut', async (t) => {
      await withPair(program, SMALL, async (pair) => {
        const { source, nodes, signal, joint } = pair;
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        const both = await source.setWriteBlocking(nodes, signal);
        joint.silence();
        const before = joint.bytes;
        const written = pair.io(0, 'write -P 0x14 1M 1M').then(() => performance.now());
        // Written here, and on its way to there: nobody answers.
        await pair.until(() => joint.bytes - before >= MIB);
        const cutAt = performance.now();
        await joint.cut();
        const waited = ((await written) - cutAt).toFixed(0);
        t.diagnostic(`write-blocking ${both}: the guest wrote on ${waited} ms after the cut`);
        await untilState(pair, 'broken');
        await joint.open();
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        await endCopies(pair);
        await assertSame(program, pair, SMALL);
      });
    });

    test('disk copies report that the destination is full, and continue once it has room', async (t) => {
      const there = await smallSpace(16 * MIB);
      if (there === undefined) return t.skip('this user may mount nothing');
      try {
        await withPair(
          program,
          SMALL,
          async (pair) => {
            const { source, nodes, signal, joint } = pair;
            await pair.io(0, 'write -P 0x11 0 32M');
            await source.start(nodes, joint.near, signal);
            const stands = await untilState(pair, 'broken');
            assert.equal(stands.failure?.kind, 'full');
            await source.start(nodes, joint.near, signal);
            assert.equal((await untilState(pair, 'broken')).failure?.kind, 'full');
            await run('mount', ['-o', `remount,size=${64 * MIB}`, there]);
            await source.start(nodes, joint.near, signal);
            await pair.ready();
            await endCopies(pair);
            await assertSame(program, pair, SMALL);
          },
          { there },
        );
      } finally {
        await run('umount', [there]);
        await rm(there, { recursive: true });
      }
    });

    test('dropped copies leave no job and no node behind, wherever they stand', async () => {
      await withPair(program, SMALL, async (pair) => {
        const { source, nodes, signal, joint, target, served } = pair;
        const dropped = async (): Promise<void> => {
          await source.drop(signal);
          await source.drop(signal);
          assert.deepEqual(await leftOf(pair), []);
          assert.match(await pair.io(0, 'write -P 0x15 0 4k'), /wrote|^\s*$/);
          await assert.rejects(source.finish(nodes, signal), { code: 'GODWIT_DISK_FAILED' });
        };
        await pair.io(0, 'write -P 0x11 0 32M');
        await dropped();
        joint.silentAfter = 8 * MIB;
        await source.start(nodes, joint.near, signal);
        await pair.until(() => joint.bytes > 8 * MIB);
        // Nobody answers what is under way; then who joined them closes both.
        await joint.cut();
        await dropped();
        await joint.open();
        joint.silentAfter = joint.bytes + 8 * MIB;
        await source.start(nodes, joint.near, signal);
        await pair.until(() => joint.bytes > joint.silentAfter);
        await joint.cut();
        await untilState(pair, 'broken');
        await dropped();
        await joint.open();
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        await source.setWriteBlocking(nodes, signal);
        await dropped();
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        await pair.beside.source.execute('stop', {});
        await source.finish(nodes, signal);
        await pair.beside.source.execute('cont', {});
        await assert.rejects(source.start(nodes, joint.near, signal), /has followed the guest/);
        await dropped();
        // Ended without a word, as by a mover that died in the middle of it.
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        const device = copyName(nodes[0] ?? '');
        await pair.beside.source.execute('block-job-cancel', { device });
        await untilState(pair, 'whole');
        await assert.rejects(source.start(nodes, joint.near, signal), {
          code: 'GODWIT_DISK_FAILED',
        });
        await dropped();
        await target.end(signal);
        await target.end(signal);
        await assert.rejects(source.start(nodes, joint.near, signal), /cannot be reached/);
        await target.serve(nodes, served, signal);
        await source.start(nodes, joint.near, signal);
        await pair.ready();
        await dropped();
      });
    });
  });
}
