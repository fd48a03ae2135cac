import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { DiskMoves, type DiskMovesDependencies } from '../../../src/agent/migrations/disk-moves.ts';
import type { Guests } from '../../../src/agent/guests/guests.ts';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { agentConfig } from '../../../src/config.ts';
import type { DirectDriver, SourceSession } from '../../../src/port/direct.ts';
import type { DiscoveredGuest } from '../../../src/port/inventory.ts';
import { ownIdentity } from '../../../src/system/processes/process.ts';
import { silentLog } from '../../../src/log.ts';
import {
  isMoveEnd,
  type DiskMoveProgress,
  type DiskMoveRequest,
} from '../../../src/protocol/public/disk-move.ts';
import { guest, listingDriver } from '../samples.ts';
import { PretendedHost } from '../../disks/move/pretended.ts';

describe('the moves of disks on a host', () => {
  let host: PretendedHost;
  let moves: DiskMoves;
  let found: DiscoveredGuest;
  /** The monitor of the hypervisor does not answer while it is set. */
  let silent = false;

  beforeEach(async () => {
    silent = false;
    host = await PretendedHost.open();
    const handle = { driver: 'fake', name: 'db1', ...ownIdentity(), monitor: 'none' };
    found = { ...guest('db1'), handle };
    moves = agent();
  });
  afterEach(async () => {
    await moves.close();
    await host.close();
  });

  function agent(): DiskMoves {
    const stateDir = path.join(host.directory, 'state');
    mkdirSync(stateDir, { recursive: true });
    const config = agentConfig.parse({
      name: 'a',
      address: '10.0.0.1:7443',
      stateDir,
      storage: [{ path: host.directory }],
    });
    const session = { relocator: host.relocator(), close: async () => {} };
    const driver: DirectDriver = {
      ...listingDriver(() => []),
      openSource: async () => {
        if (silent) throw new Error('its monitor does not answer');
        return session as unknown as SourceSession;
      },
    };
    const deps: DiskMovesDependencies = {
      config,
      clock: systemClock,
      log: silentLog,
      drivers: [driver],
      guests: { need: async () => found } as unknown as Guests,
      store: new MigrationStore(stateDir, 'a', systemClock),
    };
    return new DiskMoves(deps);
  }

  const asked = (change: Partial<DiskMoveRequest> = {}): DiskMoveRequest => ({
    guest: 'db1',
    disk: 'disk0',
    to: host.to,
    ...change,
  });

  async function ended(id: string): Promise<DiskMoveProgress> {
    for await (const now of moves.events(id, AbortSignal.timeout(20_000))) {
      if (isMoveEnd(now.state)) return now;
    }
    throw new Error('it did not end');
  }

  test('are begun, followed to their end, and kept to be asked about', async () => {
    const id = await moves.begin(asked());
    assert.deepEqual(moves.movingOf('db1'), { id, device: 'disk0' });
    const last = await ended(id);
    assert.equal(last.state, 'done', JSON.stringify(last));
    assert.ok((last.waitedMs ?? -1) >= 0);
    assert.equal(moves.movingOf('db1'), undefined);
    assert.deepEqual(
      moves.list().map((each) => each.id),
      [id],
    );
    const late = await moves.cancel(id);
    assert.deepEqual([late.accepted, late.what.includes(host.to)], [false, true]);
  });

  test('go on with the next agent, which also knows those that have ended', async () => {
    silent = false;
    const id = await moves.begin(asked());
    silent = true;
    await moves.close();
    moves = agent();
    silent = false;
    moves.start();
    assert.equal((await ended(id)).state, 'done');
    await moves.close();
    moves = agent();
    moves.start();
    assert.equal((await ended(id)).state, 'done');
  });

  test('leave no job behind that has the guest wait when the agent is told to end', async () => {
    host.neverPending = true;
    const id = await moves.begin(asked());
    await host.completed;
    const left = moves.close();
    host.neverPending = false;
    await left;
    // It came to the switch, or was called off: in no case does the guest wait.
    const { job } = await host.relocator().look({}, AbortSignal.timeout(1000));
    assert.ok(job === 'none' || job === 'ended', job);
    moves = agent();
    moves.start();
    assert.equal((await ended(id)).state, 'done');
  });

  test('of which nothing had begun are forgotten, and a torn record is no record', async () => {
    const id = await moves.begin(asked());
    await ended(id);
    await moves.close();
    const directory = path.join(host.directory, 'state', 'disk-moves');
    await appendFile(path.join(directory, id, 'journal.jsonl'), '{"v":1,"seq"');
    mkdirSync(path.join(directory, 'd-00000000'));
    moves = agent();
    assert.deepEqual(await readdir(directory), [id]);
    assert.equal((await ended(id)).state, 'done');
  });

  test('count from the moment in which their first record is being written', async () => {
    const beginning = moves.begin(asked());
    const seen: unknown[] = [];
    const begun = beginning.finally(() => seen.push('begun'));
    while (seen.length === 0) {
      const moving = moves.movingOf('db1');
      if (moving !== undefined) seen.push(moving.device);
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(seen[0], asked().disk);
    await ended(await begun);
  });

  test('with a damaged journal are left as they are, and their disks with them', async () => {
    const id = await moves.begin(asked());
    await ended(id);
    await moves.close();
    const file = path.join(host.directory, 'state', 'disk-moves', id, 'journal.jsonl');
    const bytes = await readFile(file);
    const last = bytes.length - 40;
    bytes[last] = (bytes[last] ?? 0) ^ 1;
    await writeFile(file, bytes);
    moves = agent();
    moves.start();
    await assert.rejects(moves.begin(asked()), { code: 'GODWIT_JOURNAL_DAMAGED' });
    assert.equal(moves.movingOf('db1')?.id, id);
    assert.deepEqual(await readFile(file), bytes);
  });

  test('are refused twice for a disk, for a disk that is not there and for one that cannot', async () => {
    silent = false;
    const first = await moves.begin(asked());
    await assert.rejects(moves.begin(asked()), { code: 'GODWIT_DISK_MOVING' });
    await ended(first);
    await assert.rejects(moves.begin(asked({ disk: 'disk1' })), {
      code: 'GODWIT_DISK_UNKNOWN',
      hint: /disk0/,
    });
    await assert.rejects(moves.begin(asked({ disk: 'cd0' })), { code: 'GODWIT_DISK_FIXED' });
    await assert.rejects(moves.cancel('d-99999999'), { code: 'GODWIT_DISK_MOVE_UNKNOWN' });
  });

  test('are refused for a guest that does not run, or is another manager’s', async () => {
    found = { ...found, info: { ...found.info, state: 'paused' } };
    await assert.rejects(moves.begin(asked()), { code: 'GODWIT_GUEST_STATE' });
    found = { ...found, info: { ...found.info, state: 'running', manager: 'libvirt' } };
    await assert.rejects(moves.begin(asked()), { code: 'GODWIT_GUEST_MANAGED' });
  });

  test('wait for a hypervisor that does not answer for a while, and say so', async () => {
    const id = await moves.begin(asked());
    silent = true;
    for await (const now of moves.events(id, AbortSignal.timeout(10_000))) {
      if (now.note?.includes('does not answer') === true) break;
      if (isMoveEnd(now.state)) return;
    }
    silent = false;
    assert.equal((await ended(id)).state, 'done');
  });
});
