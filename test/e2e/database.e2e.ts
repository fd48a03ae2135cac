import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { openProbe } from '../../lab/probe/probe.ts';
import { storageDirectory } from '../../lab/state.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { move, unlessForbidden, type Move } from './support/moves.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const GUEST = 'db1';
/** More than the table keeps would take minutes; so many rows differ clearly from none. */
const COMMITS = 25;

describe('a guest with a database on a local disk', () => {
  let world: World;

  before(async () => {
    world = await openWorld('db', { hosts: 2, storage: 'local' });
    const disks = [
      { bytes: 96 * MIB, thin: false },
      { bytes: 512 * MIB, thin: true },
    ];
    await startGuest(world.lab, {
      ...SMALL_GUEST,
      host: 'a',
      name: GUEST,
      disks,
      load: 'database',
      kernelWords: FEW_PLACES,
    });
  });
  after(() => world?.close());

  async function untilCommitted(more: number): Promise<number> {
    const { commits: was } = await readGuestStats(world.lab, GUEST);
    return until(`${more} more transactions`, 60_000, async () => {
      const { commits, commitErrors } = await readGuestStats(world.lab, GUEST);
      assert.equal(commitErrors, 0);
      return commits >= was + more ? commits : undefined;
    });
  }

  async function moved(request: Partial<Move> = {}): Promise<void> {
    const [from = ''] = await runningOn(world.lab, GUEST);
    const to = from === 'a' ? 'b' : 'a';
    const client = await openProbe(world.lab, GUEST);
    try {
      const committed = await untilCommitted(COMMITS);
      await move(world, { guest: GUEST, from, to, ...request });
      assert.deepEqual(await runningOn(world.lab, GUEST), [to]);
      await untilCommitted(COMMITS);
      const { ok, database, diskChunks } = await verifyGuest(world.lab, GUEST);
      assert.ok(ok && diskChunks > 0, JSON.stringify(database));
      assert.ok(database !== undefined && database.commits >= committed + COMMITS);
      const { rows, commits, badRows, integrity } = database;
      assert.deepEqual([rows, badRows, integrity], [Math.min(commits, 4096), 0, 'ok']);
      assert.equal((await client.settle(30_000)).connectionKept, true);
    } finally {
      await client.stop();
    }
  }

  test('a database moves by pre-copy, and no committed row is lost', async () => {
    await moved();
  });

  test('a database moves by post-copy, and no committed row is lost', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('a row on the disk that differs from the committed row is reported', async () => {
    await untilCommitted(COMMITS);
    const [host = ''] = await runningOn(world.lab, GUEST);
    const { bootId, commits } = await readGuestStats(world.lab, GUEST);
    const image = path.join(storageDirectory(world.lab, host), GUEST, 'disk0.raw');
    const digest = createHash('sha3-512')
      .update(`${bootId}:${commits - 5}`)
      .digest('hex');
    const row = Buffer.from(digest.toUpperCase());
    const bytes = await readFile(image);
    const file = await open(image, 'r+');
    try {
      let found = 0;
      for (let at = bytes.indexOf(row); at >= 0; at = bytes.indexOf(row, at + 1)) {
        await file.write(Buffer.from('X'), 0, 1, at);
        found += 1;
      }
      assert.ok(found > 0, 'the row is not on the disk');
      await file.sync();
    } finally {
      await file.close();
    }
    const { ok, database } = await verifyGuest(world.lab, GUEST);
    assert.equal(ok, false);
    assert.ok(database !== undefined && database.badRows > 0, JSON.stringify(database));
  });

  test('a database without a disk to run it on is refused', async () => {
    const request = { name: 'db2', host: 'a', load: 'database' } as const;
    await assert.rejects(startGuest(world.lab, request), { code: 'GODWIT_USAGE', message: /disk/ });
  });
});
