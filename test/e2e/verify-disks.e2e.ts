import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { labHost, storageDirectory } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { killMover } from './support/movers.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { begin, follow, move, reportAtEnd } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;

describe('copied disks, compared', () => {
  let world: World;

  before(async () => {
    world = await openWorld('verify', { hosts: 2, storage: 'local' });
    const disks = [
      { bytes: 256 * MIB, thin: true },
      { bytes: 128 * MIB, thin: false, filledBytes: 32 * MIB },
    ];
    const words = { disks, kernelWords: FEW_PLACES };
    await startGuest(world.lab, { ...SMALL_GUEST, host: 'a', name: 'db1', ...words });
  });
  after(() => world?.close());

  const imagesAt = (host: string): string => path.join(storageDirectory(world.lab, host), 'db1');

  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'db1'), [host]);
    const found = await verifyGuest(world.lab, 'db1');
    assert.ok(found.ok, JSON.stringify(found));
    assert.equal(found.badDiskChunks, 0);
    await assertOnlyGuests(world, { [host]: ['db1'] });
  }

  test("copied disks are the same, except for the guest's later writes, and the source's images are removed", async (t) => {
    const report = await move(world, { guest: 'db1', from: 'a', to: 'b', verifyDisks: true });
    t.diagnostic(`${JSON.stringify(report.diskCheck)}, blackout ${report.blackoutMs} ms`);
    const { verdict, comparedBytes = 0, excludedBytes = 0, error } = report.diskCheck ?? {};
    assert.equal(verdict, 'equal', JSON.stringify(error));
    assert.equal(comparedBytes + excludedBytes, 384 * MIB);
    assert.ok(comparedBytes > 256 * MIB, JSON.stringify(report.diskCheck));
    assert.deepEqual(await readdir(imagesAt('a')), []);
    await whole('b');
  });

  test("copied disks that differ are reported: the guest runs, and the source's images are kept", async (t) => {
    const slow = { maxBandwidth: 16 * MIB, maxDowntimeMs: 3000 };
    const asked = { guest: 'db1', from: 'b', to: 'a', verifyDisks: true, ...slow };
    const id = await begin(world, asked);
    await follow(world, 'b', id, ({ phase }) => phase === 'memory');
    // Behind the hypervisor's back, after it was copied.
    const handle = await open(path.join(imagesAt('b'), 'disk1.raw'), 'r+');
    await handle.write(Buffer.alloc(8 * MIB, 0x5a), 0, 8 * MIB, 64 * MIB);
    await handle.close();
    const report = await reportAtEnd(world, 'b', id);
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    t.diagnostic(`${JSON.stringify(report.diskCheck)}, blackout ${report.blackoutMs} ms`);
    const { verdict, first, differentBytes = 0, error } = report.diskCheck ?? {};
    assert.equal(verdict, 'different', JSON.stringify(report.diskCheck));
    assert.ok(differentBytes > 0 && differentBytes <= 8 * MIB, String(differentBytes));
    assert.ok(first !== undefined && first.at >= 64 * MIB && first.at < 72 * MIB);
    assert.equal(error?.code, 'GODWIT_DISK_DIFFERS');
    const kept = (await readdir(imagesAt('b'))).toSorted();
    assert.deepEqual(kept, [`disk0.qcow2.moved-${id}`, `disk1.raw.moved-${id}`]);
    for (const name of kept) await rm(path.join(imagesAt('b'), name));
    await whole('a');
  });

  for (const { dies, from, to } of [
    { dies: 'source', from: 'a', to: 'b' },
    { dies: 'destination', from: 'b', to: 'a' },
  ] as const) {
    test(`copied disks are compared all the same if the mover of the ${dies} dies meanwhile`, async (t) => {
      const id = await begin(world, { guest: 'db1', from, to, verifyDisks: true });
      const { stateDir } = labHost(world.lab, from);
      const socket = path.join(stateDir, 'migrations', id, 'compare', 's');
      // There for as long as the source's images are read.
      await until('the comparison to begin', 120_000, async () => existsSync(socket) || undefined);
      await killMover(world, dies === 'source' ? from : to, id);
      const report = await reportAtEnd(world, from, id);
      t.diagnostic(`${JSON.stringify(report.diskCheck)}, ${report.takeovers} takeovers`);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      assert.equal(report.diskCheck?.verdict, 'equal', JSON.stringify(report.diskCheck));
      assert.deepEqual(await readdir(imagesAt(from)), []);
      await whole(to);
    });
  }
});
