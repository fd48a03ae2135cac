import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { storageDirectory } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { begin, follow, refusalOf, reportAtEnd } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
/** Less than the guest writes. */
const CAP = { maxBandwidth: 5 * MIB };

describe('a guest that writes faster than its disk is copied', () => {
  let world: World;

  before(async () => {
    world = await openWorld('writes', { hosts: 2, storage: 'local' });
    await startGuest(world.lab, {
      name: 'db1',
      host: 'a',
      memoryBytes: 160 * MIB,
      workingSetBytes: 8 * MIB,
      disks: [{ bytes: 32 * MIB, thin: false }],
      kernelWords: FEW_PLACES,
      diskBytesPerSecond: 24 * MIB,
    });
  });
  after(() => world?.close());

  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'db1'), [host]);
    const found = await verifyGuest(world.lab, 'db1');
    assert.ok(found.ok, JSON.stringify(found));
    assert.equal(found.badDiskChunks, 0);
  }

  test('a guest stays, with figures, if its writes may not be slowed down', async () => {
    const request = { ...CAP, guest: 'db1', from: 'a', to: 'b', diskWrites: 'refuse' } as const;
    const error = await refusalOf(world, request);
    assert.equal(error.code, 'GODWIT_DISK_BUSY');
    assert.match(
      error.message,
      /writes [\d.]+ [KM]iB\/s to its disks, and only [\d.]+ [KM]iB\/s can be copied/,
    );
    await whole('a');
    const left = await readdir(path.join(storageDirectory(world.lab, 'b'), 'db1')).catch(() => []);
    assert.deepEqual(left, []);
  });

  test('a guest arrives with its writes waiting for their copies, and the report shows it', async () => {
    const id = await begin(world, { ...CAP, guest: 'db1', from: 'a', to: 'b' });
    const seen = await follow(world, 'a', id, ({ diskPace }) => diskPace !== undefined);
    assert.ok((seen.diskPace?.rate ?? 0) > 0);
    const report = await reportAtEnd(world, 'a', id);
    assert.equal(report.outcome, 'done', report.error?.message ?? '');
    const decisions = report.decisions.map(({ what }) => what);
    assert.ok(
      decisions.some((what) => what.includes('writes wait for their copies')),
      decisions.join('; '),
    );
    await whole('b');
  });
});
