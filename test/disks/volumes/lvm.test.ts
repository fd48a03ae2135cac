import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { LvmMaker } from '../../../src/disks/volumes/lvm.ts';
import type { StoreLookup, Store } from '../../../src/disks/volumes/store.ts';
import { until } from '../../until.ts';
import { FakeLvm } from './fake-lvm.ts';

const MIB = 1024 ** 2;
const OWN = 'm-0000000a';
const OTHER = 'm-0000000b';
const soon = (): AbortSignal => AbortSignal.timeout(30_000);

describe('volumes of LVM', () => {
  const thick = new LvmMaker('vg0', undefined);
  const thin = new LvmMaker('vg0', 'tp');
  const own = { name: 'web1', migration: OWN };
  const searched = process.env['PATH'];
  let top: string;
  let fake: FakeLvm;

  before(() => {
    top = mkdtempSync(path.join(tmpdir(), 'godwit-lvm-'));
    fake = new FakeLvm(top, { loops: false });
    process.env['PATH'] = `${fake.bin}:${searched}`;
  });
  after(() => {
    process.env['PATH'] = searched;
    rmSync(top, { recursive: true });
  });
  beforeEach(() => {
    rmSync(path.join(top, 'dev'), { recursive: true, force: true });
    const thinPools = { tp: { bytes: 64 * MIB, freeBytes: 32 * MIB } };
    fake.group('vg0', { devices: path.join(top, 'dev'), thinPools });
    fake.group('vg1', { devices: path.join(top, 'dev1') });
  });

  const there = (): Record<string, readonly string[]> =>
    Object.fromEntries(
      Object.entries(fake.state.groups['vg0']?.volumes ?? {}).map(([name, { tags }]) => [
        name,
        tags,
      ]),
    );
  function storeOf(seen: StoreLookup): Store {
    if ('refused' in seen) assert.fail(seen.refused.reason);
    return seen.store;
  }

  test('volumes are found by name, with the free room for thick and for thin ones', async () => {
    await thick.make({ ...own, bytes: 8 * MIB }, soon());
    const seen = storeOf(await thick.look(['web1', 'db1'], soon()));
    assert.deepEqual([seen.unitBytes, seen.freeBytes], [4 * MIB, 248 * MIB]);
    assert.deepEqual(
      seen.volumes.map(({ name, bytes, mark }) => [name, bytes, mark]),
      [['web1', 8 * MIB, OWN]],
    );
    assert.equal(storeOf(await thin.look(['db1'], soon())).freeBytes, 32 * MIB);
  });

  test('volumes cannot be created without the group or the pool', async () => {
    const none = await new LvmMaker('vg9', undefined).look(['web1'], soon());
    assert.ok('refused' in none);
    assert.equal(none.refused.reason, 'there is no volume group vg9');
    const pool = await new LvmMaker('vg0', 'tp9').look(['web1'], soon());
    assert.ok('refused' in pool);
    assert.equal(pool.refused.reason, 'vg0 has no thin pool tp9');
    await thick.make({ ...own, bytes: 4 * MIB }, soon());
    const volume = await new LvmMaker('vg0', 'web1').look(['db1'], soon());
    assert.ok('refused' in volume, 'a volume is no pool');
  });

  test('volumes have the mark from the first moment, thin ones in their pool', async () => {
    await thin.make({ ...own, bytes: 8 * MIB }, soon());
    assert.deepEqual(fake.state.groups['vg0']?.volumes['web1']?.pool, 'tp');
    assert.deepEqual(there(), { web1: [`godwit=${OWN}`] });
    assert.ok(fake.log.some((line) => /^lvcreate .*--addtag godwit=m-0000000a/.test(line)));
  });

  test('volumes that were handed over are not removed', async () => {
    await thick.make({ ...own, bytes: 4 * MIB }, soon());
    await thick.keep(own, soon());
    await thick.keep(own, soon());
    assert.deepEqual(there(), { web1: [] });
    await thick.remove(own, soon());
    assert.deepEqual(there(), { web1: [] });
  });

  test('volumes are removed only with the mark of their migration, and once', async () => {
    await thick.make({ ...own, bytes: 4 * MIB }, soon());
    await thick.make({ name: 'db1', migration: OTHER, bytes: 4 * MIB }, soon());
    await thick.remove({ name: 'db1', migration: OWN }, soon());
    await thick.keep({ name: 'db1', migration: OWN }, soon());
    await thick.remove(own, soon());
    await thick.remove(own, soon());
    assert.deepEqual(there(), { db1: [`godwit=${OTHER}`] });
    await thick.remove({ name: 'no such name"', migration: OWN }, soon());
  });

  test('volumes are neither kept nor removed if their group is missing: they may be in it when it returns', async () => {
    const unseen = new LvmMaker('vg9', undefined);
    await assert.rejects(unseen.remove(own, soon()), /there is no volume group vg9 now/);
    await assert.rejects(unseen.keep(own, soon()), /web1 may still be in it/);
    await thick.remove(own, soon());
  });

  test('volumes that a killed mover was about to create are waited for, and removed', async (t) => {
    fake.hold();
    t.after(() => fake.release());
    const words = ['--yes', '--name', 'web1', '--addtag', `godwit=${OWN}`];
    const size = ['--wipesignatures', 'y', '--size', `${4 * MIB}b`, 'vg0'];
    const left = spawn(path.join(fake.bin, 'lvm'), ['lvcreate', ...words, ...size]);
    const ended = once(left, 'close');
    const before_ = fake.log.length;
    await until('it to be at work', 10_000, async () => {
      return fake.log.slice(before_).some((line) => line.startsWith('lvcreate')) || undefined;
    });
    const removed = thick.remove(own, soon());
    // By then it would have looked, and found nothing.
    await thick.look(['db1'], soon());
    const looks = fake.log.slice(before_).filter((line) => line.includes('lv_name="web1"'));
    assert.deepEqual(looks, []);
    fake.release();
    await removed;
    await ended;
    assert.deepEqual(there(), {});
    assert.match(fake.log.at(-1) ?? '', /^lvremove --yes vg0\/web1$/);
  });
});
