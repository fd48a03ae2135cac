import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
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
  type DiskMoveResolveRequest,
} from '../../../src/protocol/public/disk-move.ts';
import { guest, listingDriver } from '../samples.ts';
import { PretendedHost } from '../../disks/move/pretended.ts';

describe('disk moves', () => {
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
      guests: {
        need: async () => found,
        listed: async () => ({ found: [found], silent: [] }),
      } as unknown as Guests,
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

  test('a disk move is started, followed to its end, and kept for later questions', async () => {
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

  test('a disk move continues under the next agent, which also knows the finished ones', async () => {
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

  test('a disk move leaves no job behind that blocks the guest when the agent is stopped', async () => {
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

  test('a disk move that had not begun is forgotten, and a torn record does not count', async () => {
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

  test('a disk move counts from the moment its first record is being written', async () => {
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

  test('a disk move with a damaged journal is left as it is, and so are its disks', async () => {
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

  const files = (id: string) => {
    const dir = path.join(host.directory, 'state', 'disk-moves', id);
    return { journal: path.join(dir, 'journal.jsonl'), plan: path.join(dir, 'plan.json') };
  };
  async function flip(file: string): Promise<void> {
    const bytes = await readFile(file);
    bytes[60] = (bytes[60] ?? 0) ^ 4;
    await writeFile(file, bytes);
  }
  /** The next agent, after the files of a move were harmed. */
  async function after(harm: () => Promise<void>): Promise<void> {
    await moves.close();
    await harm();
    moves = agent();
    moves.start();
  }
  const damaged = { code: 'GODWIT_JOURNAL_DAMAGED' };
  const answer = (change: Partial<DiskMoveResolveRequest> = {}): DiskMoveResolveRequest => ({
    runAt: 'destination',
    confirm: 'db1',
    iKnow: false,
    ...change,
  });
  const refused = (message: RegExp) => ({ code: 'GODWIT_RESOLVE_REFUSED', message });

  for (const [what, harm] of [
    ['damaged', flip],
    ['emptied', (file: string) => writeFile(file, '')],
    ['removed', (file: string) => rm(file)],
  ] as const) {
    test(`a move whose first record is ${what} holds the guest and the disk of its plan`, async () => {
      const id = await moves.begin(asked());
      await ended(id);
      await after(() => harm(files(id).journal));
      assert.equal(moves.movingOf('db1')?.held?.code, damaged.code);
      assert.equal(moves.movingOf('web1'), undefined);
      await assert.rejects(moves.begin(asked()), damaged);
      const [listed] = moves.list();
      const { guest: name, held, error } = listed ?? {};
      assert.deepEqual([name, held, error?.code], ['db1', true, damaged.code]);
      await assert.rejects(moves.events(id, AbortSignal.timeout(1000)).next(), damaged);
    });
  }

  test('a move whose plan and first record are damaged holds every guest of the host', async () => {
    const id = await moves.begin(asked());
    await ended(id);
    await after(async () => {
      await flip(files(id).journal);
      await flip(files(id).plan);
    });
    assert.equal(moves.movingOf('db1')?.id, id);
    assert.equal(moves.movingOf('web1')?.id, id);
    await assert.rejects(moves.begin(asked({ guest: 'web1' })), damaged);
    // No hypervisor copies a disk: the operator's word sets the record aside.
    const known = await moves.resolution(id);
    assert.deepEqual([known.guest, known.confirm], [undefined, id]);
    await assert.rejects(moves.resolve(id, answer({ confirm: id }), 'ann'), {
      code: 'GODWIT_RESOLVE_UNPROVED',
    });
    await moves.resolve(id, answer({ confirm: id, iKnow: true }), 'ann');
    assert.equal(moves.movingOf('web1'), undefined);
  });

  test('a move of an earlier build, without a plan file, is held by its first record', async () => {
    const id = await moves.begin(asked());
    await ended(id);
    await after(async () => {
      await rm(files(id).plan);
      await appendFile(files(id).journal, '{"v":1,"seq":99}\n');
    });
    assert.equal(moves.movingOf('db1')?.device, 'disk0');
    assert.equal(moves.movingOf('web1'), undefined);
  });

  test('a held move is resolved by the image that the hypervisor reports', async () => {
    const id = await moves.begin(asked());
    await ended(id);
    await after(() => flip(files(id).journal));
    const { answers } = await moves.resolution(id);
    assert.deepEqual(
      answers.map(({ verdict }) => verdict),
      ['wrong', 'safe'],
    );
    await assert.rejects(
      moves.resolve(id, answer({ runAt: 'source', iKnow: true }), 'ann'),
      refused(/uses the new image/),
    );
    await assert.rejects(moves.resolve(id, answer({ confirm: 'web1' }), 'ann'), {
      code: 'GODWIT_USAGE',
    });
    const { what } = await moves.resolve(id, answer(), 'ann');
    assert.ok(what.includes(host.to) && what.includes('disk-moves-set-aside'), what);
    const kept = path.join(host.directory, 'state', 'disk-moves-set-aside', id);
    assert.ok((await readdir(kept)).includes('journal.jsonl'));
    assert.deepEqual([moves.movingOf('db1'), moves.list()], [undefined, []]);
    await assert.rejects(moves.resolution(id), { code: 'GODWIT_DISK_MOVE_UNKNOWN' });
  });

  test('a held move is not resolved while the hypervisor copies; a cancel stops the copy', async () => {
    const id = await moves.begin(asked());
    silent = true;
    await moves.close();
    silent = false;
    // As if the agent had been killed while the hypervisor copied.
    mkdirSync(path.dirname(host.to), { recursive: true });
    await writeFile(host.to, '');
    await host.relocator().begin({}, host.to, undefined, AbortSignal.timeout(1000));
    await after(() => flip(files(id).journal));
    const order = answer({ runAt: 'source', iKnow: true });
    await assert.rejects(moves.resolve(id, order, 'ann'), refused(/has the job of the move/));
    await after(() => flip(files(id).plan));
    const nameless = { ...order, confirm: id };
    await assert.rejects(moves.resolve(id, nameless, 'ann'), refused(/disk is copied: db1/));
    await assert.rejects(moves.cancel(id), damaged);
    await after(() => flip(files(id).plan));
    assert.equal((await moves.cancel(id)).accepted, true);
    const { what } = await moves.resolve(id, answer({ runAt: 'source' }), 'ann');
    assert.ok(what.startsWith(`disk0 of db1 is ${host.from}`), what);
  });

  test('a held move waits for a hypervisor that does not answer', async () => {
    const id = await moves.begin(asked());
    await ended(id);
    await after(() => flip(files(id).journal));
    silent = true;
    await assert.rejects(
      moves.resolve(id, answer({ iKnow: true }), 'ann'),
      refused(/gives no answer, and may still copy/),
    );
  });

  test('a move whose journal can be read is not resolved', async () => {
    const id = await moves.begin(asked());
    await ended(id);
    await assert.rejects(moves.resolve(id, answer(), 'ann'), refused(/its journal can be read/));
    await assert.rejects(moves.resolution(id), refused(/it is done/));
  });

  test('a disk move is refused for a disk that already moves, that does not exist, or that cannot move', async () => {
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

  test('a disk move is refused for a guest that does not run or belongs to another manager', async () => {
    found = { ...found, info: { ...found.info, state: 'paused' } };
    await assert.rejects(moves.begin(asked()), { code: 'GODWIT_GUEST_STATE' });
    found = { ...found, info: { ...found.info, state: 'running', manager: 'libvirt' } };
    await assert.rejects(moves.begin(asked()), { code: 'GODWIT_GUEST_MANAGED' });
  });

  test('a disk move waits for a hypervisor that does not answer for a while, and reports it', async () => {
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
