import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  access,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { startAgent, stopAgent } from '../../lab/agents.ts';
import { startGuest } from '../../lab/guest/start.ts';
import { storageDirectory } from '../../lab/state.ts';
import { writersOf } from '../../lab/witness/locks.ts';
import { runningOn } from '../../lab/witness/qemus.ts';
import type { Progress, Report } from '../../src/protocol/public/migration.ts';
import { systemClock } from '../../src/clock.ts';
import { assertWrites } from './support/disks.ts';
import { killMover } from './support/movers.ts';
import {
  assertSays,
  begin,
  directionOf,
  follow,
  move,
  refusalOf,
  reportAtEnd,
  SLOW,
  unlessForbidden,
  type Move,
} from './support/moves.ts';
import { setPath } from './support/paths.ts';
import { assertOnlyGuests } from './support/remains.ts';
import { openWorld, SMALL_GUEST, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const run = promisify(execFile);
const FILES = ['disk0.qcow2', 'disk1.raw'];

describe('a guest with local disks', () => {
  let world: World;

  before(async () => {
    world = await openWorld('copies', { hosts: 2, storage: 'local' });
    const disks = [
      { bytes: 2048 * MIB, thin: true },
      { bytes: 32 * MIB, thin: false },
    ];
    await startGuest(world.lab, { ...SMALL_GUEST, host: 'a', name: 'db1', disks });
  });
  after(() => world?.close());

  const imagesAt = (host: string): string => path.join(storageDirectory(world.lab, host), 'db1');

  const there = () => directionOf(world, 'db1');

  /** It runs on `host` alone, with its disks there and nowhere else, writes to them, and what it wrote is there. */
  async function whole(host: string): Promise<void> {
    assert.deepEqual(await runningOn(world.lab, 'db1'), [host]);
    assert.deepEqual((await readdir(imagesAt(host))).toSorted(), FILES);
    for (const file of FILES) {
      assert.deepEqual(await writersOf(world.lab, 'db1', path.join(imagesAt(host), file)), [host]);
    }
    const other = storageDirectory(world.lab, host === 'a' ? 'b' : 'a');
    const left = await readdir(other, { recursive: true });
    assert.deepEqual(
      left.filter((file) => !isDirectoryOf(file)),
      [],
    );
    await assertWrites(world, 'db1');
    await assertOnlyGuests(world, { [host]: ['db1'] });
  }

  const isDirectoryOf = (file: string): boolean => file === 'db1';

  async function moved(request: Partial<Move> = {}): Promise<Report> {
    const { from, to } = await there();
    const report = await move(world, { guest: 'db1', from, to, ...request });
    await whole(to);
    return report;
  }

  async function renewAgent(host: string): Promise<void> {
    await stopAgent(world.lab, host);
    await startAgent(world.lab, host);
  }

  async function untilDisksFlow(host: string, id: string): Promise<Progress> {
    const flows = ({ phase, disks = [] }: Progress): boolean =>
      phase === 'disks' && disks.some(({ copiedBytes }) => copiedBytes > 0);
    return follow(world, host, id, flows);
  }

  test('a guest moves with its disks by pre-copy, and returns', async () => {
    await whole('a');
    const report = await moved();
    assert.deepEqual(
      report.disks?.map(({ state }) => state),
      ['ready', 'ready'],
    );
    assert.ok(report.phases.some(({ phase }) => phase === 'disks'));
    const { sentBytes = 0, linkBytes = 0, sessions } = report.diskLink ?? {};
    assert.ok(sentBytes > 0 && linkBytes > sentBytes, JSON.stringify(report.diskLink));
    assert.equal(sessions, 1);
    await moved();
  });

  test('a thin image of a guest stays thin', async () => {
    const { from } = await there();
    const was = await stat(path.join(imagesAt(from), 'disk0.qcow2'));
    await moved();
    const { from: now } = await there();
    const is = await stat(path.join(imagesAt(now), 'disk0.qcow2'));
    // What the guest writes meanwhile comes to it.
    assert.ok(is.blocks * 512 < was.blocks * 512 + 64 * MIB, `${was.blocks} became ${is.blocks}`);
  });

  test('a guest moves with its disks by post-copy', async (t) => {
    await unlessForbidden(t, () => moved({ mode: 'postcopy' }));
  });

  test('a guest moves with its disks by the wire', async () => {
    await moved({ path: 'wire' });
  });

  test('a guest cancelled amid the copying stays at its source, with its disks and without leftovers', async () => {
    const { from, to } = await there();
    const id = await begin(world, { guest: 'db1', from, to, ...SLOW });
    await untilDisksFlow(from, id);
    await world.agent(from).cancel({ params: { id } });
    assert.equal((await reportAtEnd(world, from, id)).outcome, 'cancelled');
    await whole(from);
  });

  for (const side of ['source', 'destination'] as const) {
    test(`a guest arrives with its disks although the ${side}'s mover is killed amid the copying`, async () => {
      const { from, to } = await there();
      // Slow enough to be met amid the disks, and no slower than memory can bear.
      const slow = { maxBandwidth: 16 * MIB, maxDowntimeMs: 3000 };
      const id = await begin(world, { guest: 'db1', from, to, ...slow });
      await untilDisksFlow(from, id);
      await killMover(world, side === 'source' ? from : to, id);
      const report = await reportAtEnd(world, from, id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      await whole(to);
    });
  }

  for (const [what, linkGraceMs, awayMs] of [
    ['for a while', 60_000, 8000],
    ['for longer than it may', 2000, 6000],
  ] as const) {
    test(`a guest arrives with its disks although the link was away ${what} amid the copying`, async () => {
      const { from, to } = await there();
      const slow = { maxBandwidth: 16 * MIB, maxDowntimeMs: 3000, linkGraceMs };
      const id = await begin(world, { guest: 'db1', from, to, ...slow });
      await untilDisksFlow(from, id);
      try {
        await setPath(world, to, 0, 'black hole');
        // The fault is so long, whatever becomes of it.
        await systemClock.sleep(awayMs);
        assert.deepEqual(await runningOn(world.lab, 'db1'), [from]);
      } finally {
        await setPath(world, to, 0, 'open');
      }
      const report = await reportAtEnd(world, from, id);
      assert.equal(report.outcome, 'done', JSON.stringify(report.error));
      await whole(to);
    });
  }

  test('a guest stays at its source when the storage of the destination fills up amid the copying', async (t) => {
    const { from, to } = await there();
    const full = imagesAt(to);
    const words = ['-t', 'tmpfs', '-o', 'size=48m', 'godwit-test', full];
    await mkdir(full, { recursive: true });
    const problem = await cannot('mount', words);
    if (problem !== undefined) return t.skip(`no file system to fill up: ${problem}`);
    try {
      // An agent sees what was mounted before it began.
      await renewAgent(to);
      const id = await begin(world, { guest: 'db1', from, to, ...SLOW });
      await untilDisksFlow(from, id);
      await assert.rejects(writeFile(path.join(full, 'filler'), Buffer.alloc(64 * MIB)), {
        code: 'ENOSPC',
      });
      const report = await reportAtEnd(world, from, id);
      assert.deepEqual([report.outcome, report.runsAt], ['failed', 'source']);
      assert.equal(report.error?.code, 'GODWIT_DISK_FAILED');
      assert.deepEqual(await readdir(full), ['filler']);
    } finally {
      assert.equal(await cannot('umount', [full]), undefined);
      await renewAgent(to);
    }
    await whole(from);
  });

  test('a guest is refused if a file has the name of one of its disks, and the file is not touched', async () => {
    const { from, to } = await there();
    const file = path.join(imagesAt(to), 'disk1.raw');
    await writeFile(file, 'somebody else’s');
    const error = await refusalOf(world, { guest: 'db1', from, to });
    assertSays(error, 'GODWIT_DISK_PLACE', to, 'db1', 'disk1.raw is there already');
    assert.equal((await stat(file)).size, Buffer.byteLength('somebody else’s'));
    await rm(file);
    await whole(from);
  });

  test('a guest is refused if another program has a disk open, or if another file has come to its path', async () => {
    const { from, to } = await there();
    const file = path.join(imagesAt(from), 'disk1.raw');
    const other = await open(file, 'r+');
    const used = await refusalOf(world, { guest: 'db1', from, to });
    await other.close();
    assertSays(used, 'GODWIT_DISK_IN_USE', 'db1', 'disk1.raw', `process ${process.pid} (`);
    await link(file, `${file}.own`);
    await writeFile(`${file}.new`, 'a restored copy');
    await rename(`${file}.new`, file);
    const replaced = await refusalOf(world, { guest: 'db1', from, to });
    assertSays(replaced, 'GODWIT_DISK_REPLACED', 'db1', 'disk1.raw');
    await rename(`${file}.own`, file);
    await whole(from);
  });

  test("a file that came to a disk's path at the source amid the copying is left there", async () => {
    const { from, to } = await there();
    const file = path.join(imagesAt(from), 'disk1.raw');
    const slow = { maxBandwidth: 16 * MIB, maxDowntimeMs: 3000 };
    const id = await begin(world, { guest: 'db1', from, to, ...slow });
    await untilDisksFlow(from, id);
    await writeFile(`${file}.new`, 'a restored copy');
    await rename(`${file}.new`, file);
    const report = await reportAtEnd(world, from, id);
    assert.equal(report.outcome, 'done', JSON.stringify(report.error));
    assert.equal(await readFile(file, 'utf8'), 'a restored copy');
    const left = report.checks.find(({ evidence }) => evidence.startsWith('left as it is'));
    assert.equal(left?.verdict, 'warn', JSON.stringify(report.checks.slice(-3)));
    await rm(file);
    await whole(to);
  });

  test('a guest keeps its disks at the source under another name on request', async () => {
    const { from, to } = await there();
    const report = await move(world, { guest: 'db1', from, to, keepSource: true });
    for (const name of FILES) {
      const kept = path.join(imagesAt(from), `${name}.moved-${report.id}`);
      await access(kept);
      await rm(kept);
    }
    await whole(to);
  });
});

/** Why a program of this host failed; undefined where it did not. */
async function cannot(program: string, words: readonly string[]): Promise<string | undefined> {
  return run(program, [...words]).then(
    () => undefined,
    (error: unknown) => String(error),
  );
}
