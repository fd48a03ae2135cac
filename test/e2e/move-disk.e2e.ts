import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { GodwitError } from '../../src/errors.ts';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { readGuestStats } from '../../lab/guest/talk.ts';
import { storageDirectory } from '../../lab/state.ts';
import { imagesInUse, writersOf } from '../../lab/witness/locks.ts';
import {
  isMoveEnd,
  type DiskMoveProgress,
  type DiskMoveRequest,
} from '../../src/protocol/public/disk-move.ts';
import { assertWrites } from './support/disks.ts';
import { FEW_PLACES } from './support/few-disk-slots.ts';
import { assertSays, begin, move, reportAtEnd, SLOW } from './support/moves.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { until } from '../until.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const run = promisify(execFile);
/** A file system that it can fill, bytes. */
const SMALL = 192 * MIB;
const TMPFS = `-t tmpfs -o size=${SMALL} godwit-test`;
/** The thin one holds so much, so that there is time to come between. */
const FILLED = 96 * MIB;
const [FIRST, SECOND] = ['disk0-dev', 'disk1-dev'];

describe('a disk of a running guest moved on its host', () => {
  let world: World;
  /** Why there is no file system that can be filled up. */
  let unmountable: string | undefined = 'not tried';

  before(async () => {
    world = await openWorld('mdisk', { hosts: 2, storage: 'local' });
    await mkdir(at('full'));
    unmountable = await cannot('mount', [...TMPFS.split(' '), at('full')]);
    // An agent and a guest see what was mounted before they began.
    await stopAgent(world.lab, 'a');
    await startAgent(world.lab, 'a');
    const disks = [
      { bytes: 512 * MIB, thin: true, filledBytes: FILLED },
      { bytes: 32 * MIB, thin: false },
    ];
    const words = { disks, kernelWords: FEW_PLACES };
    await startGuest(world.lab, { ...SMALL_GUEST, host: 'a', name: 'db1', ...words });
  });
  after(async () => {
    if (unmountable === undefined) await run('umount', ['-l', at('full')]);
    await world?.close();
  });

  const storage = (host = 'a'): string => storageDirectory(world.lab, host);
  const at = (...parts: string[]): string => path.join(storage(), ...parts);

  async function imageOf(disk: string, host = 'a'): Promise<string> {
    const { disks = [] } = await world.agent(host).guest({ params: { guest: 'db1' } });
    return disks.find(({ name }) => name === disk)?.file ?? '';
  }

  async function files(directory = storage()): Promise<string[]> {
    const all = await readdir(directory, { recursive: true, withFileTypes: true });
    const found = all.filter((each) => !each.isDirectory());
    return found
      .map((each) => path.relative(directory, path.join(each.parentPath, each.name)))
      .toSorted();
  }

  /** Its disks are these two files, which its QEMU alone may write to; it writes to them, and reads what it wrote. */
  async function whole(first: string, second: string, host = 'a'): Promise<void> {
    assert.deepEqual((await imagesInUse(world.lab, 'db1')).toSorted(), [first, second].toSorted());
    assert.deepEqual([await imageOf(FIRST, host), await imageOf(SECOND, host)], [first, second]);
    for (const file of [first, second]) {
      assert.deepEqual(await writersOf(world.lab, 'db1', file), [host], file);
    }
    await assertWrites(world, 'db1');
    const rest = [first, second].map((file) => path.relative(storage(host), file)).toSorted();
    assert.deepEqual(await files(storage(host)), rest);
  }

  async function start(request: Omit<DiskMoveRequest, 'guest'>): Promise<string> {
    return (await world.agent('a').moveDisk({ body: { guest: 'db1', ...request } })).id;
  }

  async function follow(
    id: string,
    wanted: (now: DiskMoveProgress) => boolean,
  ): Promise<DiskMoveProgress> {
    const signal = AbortSignal.timeout(90_000);
    for await (const now of world.agent('a').diskMoveEvents({ params: { id } }, { signal })) {
      if (wanted(now)) return now;
      if (isMoveEnd(now.state)) throw new Error(`${id} has ended: ${JSON.stringify(now)}`);
    }
    throw new Error(`the live view of ${id} ended early`);
  }

  const ended = (id: string): Promise<DiskMoveProgress> =>
    follow(id, (now) => isMoveEnd(now.state));
  const amid = (id: string): Promise<DiskMoveProgress> =>
    follow(id, ({ state, copiedBytes }) => state === 'copying' && copiedBytes > 0);

  async function moved(request: Omit<DiskMoveRequest, 'guest'>): Promise<DiskMoveProgress> {
    const now = await ended(await start(request));
    assert.equal(now.state, 'done', JSON.stringify(now.error));
    assert.equal(now.note, undefined);
    return now;
  }

  async function refused(request: Omit<DiskMoveRequest, 'guest'>): Promise<GodwitError> {
    try {
      await start(request);
    } catch (thrown) {
      if (thrown instanceof GodwitError) return thrown;
      throw thrown;
    }
    throw new Error('it was not refused');
  }

  test("a disk stays thin, keeps up with the guest's writes, and the old image is gone", async () => {
    const from = await imageOf(FIRST);
    const was = await stat(from);
    const now = await moved({ disk: FIRST, to: `${at('fast')}/` });
    assert.equal(now.to, at('fast', 'disk0.qcow2'));
    assert.ok(now.copiedBytes >= FILLED, JSON.stringify(now));
    const is = await stat(now.to);
    assert.ok(is.blocks * 512 < was.blocks * 512 + 64 * MIB, `${was.blocks} became ${is.blocks}`);
    await whole(now.to, at('db1', 'disk1.raw'));
  });

  test('a raw disk moves, and its old image is kept on request', async () => {
    const now = await moved({ disk: SECOND, to: at('other.raw'), keepSource: true });
    assert.equal(now.kept, `${at('db1', 'disk1.raw')}.moved-${now.id}`);
    assert.equal((await stat(now.kept ?? '')).size, 32 * MIB);
    await rm(now.kept ?? '');
    await whole(at('fast', 'disk0.qcow2'), at('other.raw'));
  });

  test('an impossible move is refused with the reason', async () => {
    const image = at('fast', 'disk0.qcow2');
    assertSays(
      await refused({ disk: 'disk7', to: at('x') }),
      'GODWIT_DISK_UNKNOWN',
      'disk7',
      FIRST,
    );
    const outside = await refused({ disk: FIRST, to: '/srv/nowhere/x' });
    assertSays(outside, 'GODWIT_DISK_PLACE', '/srv/nowhere/x', storage());
    assertSays(await refused({ disk: FIRST, to: 'gold' }), 'GODWIT_DISK_PLACE', 'gold');
    const there = await refused({ disk: SECOND, to: image });
    assertSays(there, 'GODWIT_DISK_PLACE', 'disk0.qcow2 is there already');
    await whole(image, at('other.raw'));
  });

  test('a disk stays in its place when the move is cancelled, and nothing of the new image is left', async () => {
    const id = await start({ disk: FIRST, to: at('slow', 'deep', 'x'), maxBandwidth: 4 * MIB });
    await amid(id);
    const busy = await begin(world, { guest: 'db1', from: 'a', to: 'b' }).catch((e: unknown) => e);
    assert.ok(busy instanceof GodwitError);
    assertSays(busy, 'GODWIT_DISK_MOVING', FIRST, id);
    assertSays(await refused({ disk: FIRST, to: at('y') }), 'GODWIT_DISK_MOVING', id);
    const answer = await world.agent('a').cancelDiskMove({ params: { id } });
    assert.equal(answer.accepted, true);
    const now = await ended(id);
    assert.deepEqual([now.state, now.error?.code], ['cancelled', 'GODWIT_DISK_MOVE_CANCELLED']);
    assert.ok(!(await readdir(storage())).includes('slow'));
    await whole(at('fast', 'disk0.qcow2'), at('other.raw'));
  });

  test('a disk stays in its place when the new place fills up amid the copying', async (t) => {
    if (unmountable !== undefined) return t.skip(`no file system to fill up: ${unmountable}`);
    const from = await imageOf(FIRST);
    const id = await start({ disk: FIRST, to: at('full', 'x'), maxBandwidth: 8 * MIB });
    await amid(id);
    const filler = writeFile(at('full', 'filler'), Buffer.alloc(SMALL));
    await assert.rejects(filler, { code: 'ENOSPC' });
    const now = await ended(id);
    assert.equal(now.state, 'failed');
    assertSays(now.error!, 'GODWIT_DISK_FAILED', FIRST, 'there is no room for it');
    assert.deepEqual(await readdir(at('full')), ['filler']);
    const refusal = await refused({ disk: FIRST, to: at('full', 'x') });
    assertSays(refusal, 'GODWIT_DISK_SPACE', FIRST);
    await rm(at('full', 'filler'));
    await whole(from, at('other.raw'));
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`a disk arrives although its agent is ended by ${signal} amid the copying`, async () => {
      const from = await imageOf(FIRST);
      const to = signal === 'SIGKILL' ? at('killed.qcow2') : at('ended.qcow2');
      const id = await start({ disk: FIRST, to, maxBandwidth: 24 * MIB });
      await amid(id);
      await stopAgent(world.lab, 'a', signal);
      const lone = (await readGuestStats(world.lab, 'db1')).diskBytes;
      await until('the guest to write without an agent', 20_000, async () => {
        return (await readGuestStats(world.lab, 'db1')).diskBytes > lone ? true : undefined;
      });
      await startAgent(world.lab, 'a');
      const now = await ended(id);
      assert.equal(now.state, 'done', JSON.stringify(now.error));
      assert.notEqual(from, to);
      await whole(to, at('other.raw'));
    });
  }

  test('a disk moves with its guest to the other host from its new place, and cannot move meanwhile', async () => {
    const id = await begin(world, { guest: 'db1', from: 'a', to: 'b', ...SLOW });
    const busy = await refused({ disk: FIRST, to: at('x') });
    assertSays(busy, 'GODWIT_GUEST_BUSY', id);
    await world.agent('a').cancel({ params: { id } });
    assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    await move(world, { guest: 'db1', from: 'a', to: 'b' });
    await whole(path.join(storage('b'), 'ended.qcow2'), path.join(storage('b'), 'other.raw'), 'b');
    assert.deepEqual(await files(), []);
    await assertOnlyGuests(world, { b: ['db1'] });
  });
});

/** Why a program of this host failed; undefined where it did not. */
async function cannot(program: string, words: readonly string[]): Promise<string | undefined> {
  return run(program, [...words]).then(
    () => undefined,
    (error: unknown) => String(error),
  );
}
