import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { StoreLookup, Store } from '../../../src/disks/volumes/store.ts';
import { ZfsMaker } from '../../../src/disks/volumes/zfs.ts';
import { until } from '../../until.ts';
import { FakeZfs } from './fake-zfs.ts';

const MIB = 1024 ** 2;
const OWN = 'm-0000000a';
const OTHER = 'm-0000000b';
const MARK = 'godwit:migration';
const soon = (): AbortSignal => AbortSignal.timeout(30_000);

describe('volumes of ZFS', () => {
  const whole = new ZfsMaker('tank/vm', false);
  const sparse = new ZfsMaker('tank/vm', true);
  const own = { name: 'web1', migration: OWN };
  const searched = process.env['PATH'];
  let top: string;
  let fake: FakeZfs;

  before(() => {
    top = mkdtempSync(path.join(tmpdir(), 'godwit-zfs-'));
    fake = new FakeZfs(top, { loops: false, devices: path.join(top, 'dev') });
    process.env['PATH'] = `${fake.bin}:${searched}`;
  });
  after(() => {
    process.env['PATH'] = searched;
    rmSync(top, { recursive: true });
  });
  beforeEach(() => {
    rmSync(path.join(top, 'dev'), { recursive: true, force: true });
    fake.dataset('tank/vm');
  });

  const there = () => fake.state.datasets['tank/vm']?.children ?? {};
  const marks = () =>
    Object.fromEntries(Object.entries(there()).map(([name, { props }]) => [name, props[MARK]]));
  function storeOf(seen: StoreLookup): Store {
    if ('refused' in seen) assert.fail(seen.refused.reason);
    return seen.store;
  }

  test("volumes are found by name, with the free room, less the room for ZFS's records", async () => {
    await whole.make({ ...own, bytes: 8 * MIB }, soon());
    const seen = storeOf(await whole.look(['web1', 'db1'], soon()));
    assert.equal(seen.unitBytes, 16 * 1024);
    assert.ok(seen.freeBytes < 248 * MIB && seen.freeBytes > 230 * MIB, String(seen.freeBytes));
    assert.deepEqual(seen.volumes, [{ name: 'web1', bytes: 8 * MIB, mark: OWN }]);
    assert.deepEqual(storeOf(await whole.look(['db1'], soon())).volumes, []);
  });

  test('volumes cannot be created without the data set, or if something else has the name', async () => {
    const none = await new ZfsMaker('tank/none', false).look(['web1'], soon());
    assert.ok('refused' in none);
    assert.equal(none.refused.reason, 'there is no data set tank/none');
    const home = { bytes: 0, props: {}, isFilesystem: true };
    fake.dataset('tank/vm', { children: { home } });
    const taken = await whole.look(['home'], soon());
    assert.ok('refused' in taken);
    assert.equal(taken.refused.reason, 'tank/vm/home is there, and no volume');
    storeOf(await whole.look(['web1'], soon()));
  });

  test('volumes have the mark from the first moment, and reserved room unless they are sparse', async () => {
    await whole.make({ ...own, bytes: 8 * MIB }, soon());
    await sparse.make({ name: 'db1', migration: OWN, bytes: 8 * MIB }, soon());
    assert.deepEqual(marks(), { web1: OWN, db1: OWN });
    assert.deepEqual([there()['web1']?.sparse, there()['db1']?.sparse], [false, true]);
    const created = fake.log.filter((each) => each.startsWith('create'));
    assert.deepEqual(created.slice(-2), [
      `create -V ${8 * MIB} -b 16384 -o ${MARK}=${OWN} tank/vm/web1`,
      `create -s -V ${8 * MIB} -b 16384 -o ${MARK}=${OWN} tank/vm/db1`,
    ]);
  });

  test('volumes that were handed over are not removed', async () => {
    await whole.make({ ...own, bytes: MIB }, soon());
    await whole.keep(own, soon());
    await whole.keep(own, soon());
    assert.deepEqual(marks(), { web1: undefined });
    await whole.remove(own, soon());
    assert.deepEqual(Object.keys(there()), ['web1']);
  });

  test("volumes are removed only with their migration's mark, and once; an inherited mark does not count", async () => {
    await whole.make({ ...own, bytes: MIB }, soon());
    await whole.make({ name: 'db1', migration: OTHER, bytes: MIB }, soon());
    await whole.remove({ name: 'db1', migration: OWN }, soon());
    await whole.keep({ name: 'db1', migration: OWN }, soon());
    await whole.remove(own, soon());
    await whole.remove(own, soon());
    assert.deepEqual(marks(), { db1: OTHER });
    const unseen = new ZfsMaker('tank/none', false);
    await assert.rejects(unseen.remove(own, soon()), /there is no data set tank\/none now/);
    await assert.rejects(unseen.keep(own, soon()), /web1 may still be in it/);
    await whole.remove({ name: '../x', migration: OWN }, soon());
    // Somebody set it on the data set: every volume below it would have it.
    fake.dataset('tank/vm', {
      props: { [MARK]: OWN },
      children: { old: { bytes: MIB, props: {} } },
    });
    await whole.remove({ name: 'old', migration: OWN }, soon());
    assert.deepEqual(Object.keys(there()), ['old']);
  });

  test('volumes that a killed mover was about to create are waited for, and removed', async (t) => {
    fake.hold();
    t.after(() => fake.release());
    const words = ['-V', String(MIB), '-b', '16384', '-o', `${MARK}=${OWN}`, 'tank/vm/web1'];
    const left = spawn(path.join(fake.bin, 'zfs'), ['create', ...words]);
    const ended = once(left, 'close');
    const before_ = fake.log.length;
    await until('it to be at work', 10_000, async () => {
      return fake.log.slice(before_).some((line) => line.startsWith('create')) || undefined;
    });
    const removed = whole.remove(own, soon());
    fake.release();
    await removed;
    await ended;
    assert.deepEqual(there(), {});
    assert.equal(fake.log.at(-1), 'destroy tank/vm/web1');
  });
});
