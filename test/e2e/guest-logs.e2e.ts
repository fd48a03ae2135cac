import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { startGuest } from '../../lab/guest/start.ts';
import { labHost } from '../../lab/state.ts';
import { move } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST } from './support/world.ts';

const CAP = 64 * 1024;
/** What a guest writes while nobody looks, emulated and on a busy machine; without a bound it is soon more. */
const SLACK = 16 * CAP;
const CUT = /^\[godwit: (\d+) bytes before this were dropped\]/;

/** Waits until the log at `file` was cut `times` times, and never was longer than it may be. */
async function stayedBounded(file: string, times: number): Promise<void> {
  const cuts = new Set<number>();
  await until(`${file} to be cut ${times} times`, 60_000, async () => {
    const head = existsSync(file) ? readFileSync(file).subarray(0, 100).toString('latin1') : '';
    const cut = CUT.exec(head)?.[0];
    if (cut !== undefined) cuts.add(statSync(file).ctimeMs);
    if (existsSync(file)) assert.ok(statSync(file).blocks * 512 < CAP + SLACK);
    return cuts.size >= times ? true : undefined;
  });
}

test('a guest that floods its serial port fills no disk, neither at its source nor at its destination', async () => {
  const elsewhere = await mkdtemp(path.join(tmpdir(), 'godwit-logs-'));
  await chmod(elsewhere, 0o711);
  const configure = (host: string) => ({
    guestLogs: { bytes: CAP, ...(host === 'b' ? { directory: elsewhere } : {}) },
  });
  const world = await openWorld('logs', { hosts: 2, configure });
  try {
    const kernelWords = ['godwit.flood=ttyS0'];
    await startGuest(world.lab, { name: 'web1', host: 'a', ...SMALL_GUEST, kernelWords });
    const dirOf = (host: string): string =>
      path.join(labHost(world.lab, host).stateDir, 'guests', 'web1');
    // As the lab started it: this one does not append, and has its log beside its sockets.
    await stayedBounded(path.join(dirOf('a'), 'serial.log'), 2);
    const there = await move(world, { guest: 'web1', from: 'a', to: 'b' });
    assert.equal(there.outcome, 'done', JSON.stringify(there.error));
    const away = path.join(elsewhere, 'godwit-b', 'web1');
    await stayedBounded(path.join(away, 'serial.log'), 2);
    assert.ok(!existsSync(path.join(dirOf('b'), 'serial.log')));
    const back = await move(world, { guest: 'web1', from: 'b', to: 'a' });
    assert.equal(back.outcome, 'done', JSON.stringify(back.error));
    await stayedBounded(path.join(dirOf('a'), 'godwit-logs', 'serial.log'), 2);
    await until('its logs to go with it', 10_000, async () =>
      existsSync(away) ? undefined : true,
    );
    await assertOnlyGuests(world, { a: ['web1'] });
  } finally {
    await world.close();
    await rm(elsewhere, { recursive: true, force: true });
  }
});
