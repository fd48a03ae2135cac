import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { verifyGuest } from '../../lab/guest/talk.ts';
import { labHost } from '../../lab/state.ts';
import { begin, reportAtEnd } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const MINUTE_MS = 60_000;
/** bytes/s: within these hours no guest arrives, however few of its bytes the wire sends. */
const CAP = 128 * 1024;
/** Until the migrations have begun to send, ms. */
const BEGUN_MS = 15_000;
const WAYS = { web1: 'native', web2: 'wire' } as const;

describe('a host with a cap by the time of day', () => {
  let world: World;

  before(async () => {
    world = await openWorld('hours', { hosts: 2 });
    for (const name of Object.keys(WAYS))
      await startGuest(world.lab, {
        name,
        host: 'a',
        memoryBytes: 128 * MIB,
        workingSetBytes: 8 * MIB,
      });
  });
  after(() => world?.close());

  test("migrations respect the host's cap, and continue without it once its hours are over", async () => {
    const overAtMs = await capUntilSoon();
    const ids = await Promise.all(
      Object.entries(WAYS).map(([guest, path]) =>
        begin(world, { guest, from: 'a', to: 'b', mode: 'precopy', path }),
      ),
    );
    for (const id of ids) {
      const { outcome, timedCap, decisions, startedAt, guest } = await reportAtEnd(world, 'a', id);
      assert.deepEqual([outcome, timedCap], ['done', CAP], guest);
      const [capped, free] = decisions.filter(({ what }) => what.startsWith('bandwidth: '));
      assert.equal(capped?.what, 'bandwidth: at most 128 KiB/s by the time of day of a');
      assert.equal(free?.what, 'bandwidth: no cap by the time of day of a');
      assert.ok(Date.parse(startedAt) + (free?.atMs ?? 0) >= overAtMs, `${guest} at ${free?.atMs}`);
    }
    await assertOnlyGuests(world, { b: Object.keys(WAYS) });
    for (const guest of Object.keys(WAYS)) assert.ok((await verifyGuest(world.lab, guest)).ok);
  });

  /** The hours of the host end with one of the next minutes: when that is, ms since 1970. */
  async function capUntilSoon(): Promise<number> {
    const overAtMs = Math.ceil((systemClock.wallMs() + BEGUN_MS) / MINUTE_MS) * MINUTE_MS;
    const hours = `${timeOfDay(overAtMs - 5 * MINUTE_MS)}-${timeOfDay(overAtMs)}`;
    const { configFile } = labHost(world.lab, 'a');
    const config = JSON.parse(await readFile(configFile, 'utf8')) as { limits?: object };
    const limits = { ...config.limits, bandwidth: [{ hours, bytesPerS: CAP }] };
    // Each mover reads the file as it starts.
    await writeFile(configFile, JSON.stringify({ ...config, limits }));
    return overAtMs;
  }
});

function timeOfDay(wallMs: number): string {
  const at = new Date(wallMs);
  return [at.getHours(), at.getMinutes()].map((each) => String(each).padStart(2, '0')).join(':');
}
