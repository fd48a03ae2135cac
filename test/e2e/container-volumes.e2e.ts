import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { labRunc } from '../../lab/container/launch.ts';
import { runcRoot, volumeDirectory } from '../../lab/container/places.ts';
import { startContainer } from '../../lab/container/start.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { runCommand } from '../../lab/command.ts';
import { labHost } from '../../lab/state.ts';
import { containerRunsOn } from '../../lab/witness/containers.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { until } from '../until.ts';
import { keepsConnection, untilNoneLeft } from './support/containers.ts';
import {
  begin,
  follow,
  move,
  refusalOf,
  reportAtEnd,
  SLOW,
  untilMemoryFlows,
} from './support/moves.ts';
import { killMover } from './support/movers.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const BOX = `vol-${process.pid}`;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

describe('a container that keeps writing to its volumes', { skip }, () => {
  let world: World;

  before(async () => {
    await bringContainers();
    world = await openWorld('vol', { hosts: 2, containers: true });
    const volumes = volumesOf('a');
    await mkdir(path.join(volumes, 'db', 'data'), { recursive: true });
    await writeFile(path.join(volumes, 'db', 'names'), '10.0.0.1 other\n', { mode: 0o640 });
    const data = path.join(volumes, 'db', 'data');
    await writeFile(path.join(data, 'once'), 'x'.repeat(5000), { mode: 0o600 });
    await runCommand(['ln', path.join(data, 'once'), path.join(data, 'twice')]);
    await runCommand(['truncate', '-s', '64M', path.join(data, 'holes')]);
    await runCommand(['chown', '-R', '1234:4321', path.join(data, 'once')]);
    await startContainer(world.lab, {
      name: BOX,
      host: 'a',
      staticBytes: 16 * MIB,
      dirtyBytes: 4 * MIB,
      dirtyBytesPerSecond: MIB,
      binds: [
        { source: data, destination: '/data', options: ['nodev', 'nosuid'] },
        { source: path.join(volumes, 'db', 'names'), destination: '/names', options: ['ro'] },
      ],
    });
  });
  after(() => world?.close());

  function volumesOf(host: string): string {
    return volumeDirectory(labHost(world.lab, host).stateDir);
  }

  /** All that the container was seen to have synced before and after is in its volume on that host, in order. */
  async function noLineLost(host: string, work: () => Promise<unknown>): Promise<void> {
    const before = (await readGuestStats(world.lab, BOX)).commits;
    await work();
    const { commits } = await readGuestStats(world.lab, BOX);
    assert.ok(commits > before, `${commits} lines, and ${before} before`);
    assert.deepEqual(await containerRunsOn(world.lab, BOX), [host]);
    const data = path.join(volumesOf(host), 'db', 'data');
    const lines = (await readFile(path.join(data, 'lines'), 'utf8')).trimEnd().split('\n');
    assert.ok(lines.length >= commits, `${lines.length} lines, and ${commits} were synced`);
    for (const [index, line] of lines.entries()) assert.equal(line, String(index + 1));
  }

  /** What it was seen to have, with its connection. */
  async function unharmed(host: string, work: () => Promise<unknown>): Promise<void> {
    await keepsConnection(world, BOX, () => noLineLost(host, work));
    assert.partialDeepStrictEqual(await verifyGuest(world.lab, BOX), { ok: true, badChunks: 0 });
  }

  async function asItWas(host: string): Promise<void> {
    const [names, data] = ['names', 'data'].map((each) => path.join(volumesOf(host), 'db', each));
    assert.equal(await readFile(names ?? '', 'utf8'), '10.0.0.1 other\n');
    assert.equal((await stat(names ?? '')).mode & 0o777, 0o640);
    const [once, twice, holes] = await Promise.all(
      ['once', 'twice', 'holes'].map((each) => stat(path.join(data ?? '', each))),
    );
    assert.partialDeepStrictEqual(once, { uid: 1234, gid: 4321, nlink: 2, size: 5000 });
    assert.equal(twice?.ino, once?.ino);
    assert.equal(holes?.size, 64 * MIB);
    assert.equal(holes?.blocks, 0);
  }

  /** Neither of the container nor of its volumes; what is kept has another name. */
  async function nothingLeft(host: string, kept: RegExp[] = []): Promise<void> {
    await untilNoneLeft(world, host);
    const top = await readdir(volumesOf(host)).catch(() => []);
    const names =
      top.length === 0 ? [] : await readdir(path.join(volumesOf(host), 'db')).catch(() => []);
    const left = names.filter((each) => !kept.some((pattern) => pattern.test(each)));
    assert.deepEqual(left, []);
    if (kept.length === 0) assert.deepEqual(top, []);
  }

  const ASIDE = [/^(data|names)\.moved-[0-9a-f]{16}$/];

  test('a container moves and returns with its connection, and loses no synced line', async () => {
    await unharmed('b', () => move(world, { guest: BOX, from: 'a', to: 'b' }));
    await asItWas('b');
    await nothingLeft('a', ASIDE);
    await unharmed('a', () => move(world, { guest: BOX, from: 'b', to: 'a' }));
    await asItWas('a');
    await nothingLeft('b');
  });

  test('a container keeps running at the source when it is cancelled, and none of its volumes stays there', async () => {
    await unharmed('a', async () => {
      const id = await begin(world, { guest: BOX, from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await world.agent('a').cancel({ params: { id } });
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    });
    await nothingLeft('b');
  });

  test("a container keeps running at the source when the destination's mover is killed, without volumes there", async () => {
    await unharmed('a', async () => {
      const id = await begin(world, { guest: BOX, from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await killMover(world, 'b', id);
      const report = await reportAtEnd(world, 'a', id);
      assert.equal(report.outcome, 'failed', JSON.stringify(report.error));
    });
    await nothingLeft('b');
  });

  test('a container is refused if the destination has something of that name, which stays', async () => {
    const there = path.join(volumesOf('b'), 'db', 'data');
    await mkdir(there, { recursive: true });
    await writeFile(path.join(there, 'precious'), 'somebody’s');
    const error = await refusalOf(world, { guest: BOX, from: 'a', to: 'b' });
    assert.equal(error.code, 'GODWIT_DEVICE_UNMAPPED');
    assert.match(error.message, /the volume \/data .* is there already/);
    assert.equal(await readFile(path.join(there, 'precious'), 'utf8'), 'somebody’s');
    await runCommand(['rm', '-r', path.join(volumesOf('b'), 'db')]);
  });

  test('a container is refused while another program mounts its volume, by its name', async () => {
    const at = path.join(world.lab.dir, 'elsewhere');
    await mkdir(at);
    const script = 'mount --bind "$0" "$1" && echo mounted && read line';
    const data = path.join(volumesOf('a'), 'db', 'data');
    const other = spawn('unshare', ['-m', 'sh', '-c', script, data, at]);
    try {
      await new Promise((resolve) => other.stdout.once('data', resolve));
      const error = await refusalOf(world, { guest: BOX, from: 'a', to: 'b' });
      assert.equal(error.code, 'GODWIT_DEVICE_UNMOVABLE');
      assert.match(error.message, new RegExp(`/data .*process \\d+ mounts ${data} too`));
    } finally {
      other.stdin.end('\n');
      await new Promise((resolve) => other.once('exit', resolve));
    }
  });

  async function startedAnew(before: string): Promise<string> {
    return until('the container to be up', 30_000, async () => {
      const found = await readGuestStats(world.lab, BOX).catch(() => undefined);
      return found === undefined || found.bootId === before ? undefined : found.bootId;
    });
  }

  test('a container moves cold and returns, and is started again at the source when the move fails', async () => {
    let { bootId } = await readGuestStats(world.lab, BOX);
    await noLineLost('b', async () => {
      await move(world, { guest: BOX, from: 'a', to: 'b', mode: 'cold' });
      bootId = await startedAnew(bootId);
    });
    await asItWas('b');
    await nothingLeft('a', ASIDE);
    await noLineLost('b', async () => {
      const id = await begin(world, { guest: BOX, from: 'b', to: 'a', mode: 'cold', ...SLOW });
      await follow(world, 'b', id, ({ phase }) => phase === 'switchover');
      await killMover(world, 'a', id);
      const report = await reportAtEnd(world, 'b', id);
      assert.equal(report.outcome, 'failed', JSON.stringify(report.error));
      bootId = await startedAnew(bootId);
    });
    await nothingLeft('a', ASIDE);
    await noLineLost('a', async () => {
      await move(world, { guest: BOX, from: 'b', to: 'a', mode: 'cold' });
      bootId = await startedAnew(bootId);
    });
    await asItWas('a');
    await nothingLeft('b');
  });

  test('a container moves after all that', async () => {
    await unharmed('b', () => move(world, { guest: BOX, from: 'a', to: 'b' }));
    const root = runcRoot(labHost(world.lab, 'b').stateDir);
    const script = "try { fs.writeFileSync('/names', '') } catch ({ code }) { console.log(code) }";
    assert.equal(await labRunc(root, ['exec', BOX, '/bin/node', '-e', script]), 'EROFS\n');
  });
});
