import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { agentsOf } from '../../lab/agents.ts';
import { runCommand } from '../../lab/command.ts';
import { labRunc } from '../../lab/container/launch.ts';
import { runcRoot, sharedVolumeDirectory, volumeDirectory } from '../../lab/container/places.ts';
import { startContainer } from '../../lab/container/start.ts';
import { readGuestStats, verifyGuest } from '../../lab/guest/talk.ts';
import { labHost, storageDirectory } from '../../lab/state.ts';
import { containerRunsOn } from '../../lab/witness/containers.ts';
import type { Report } from '../../src/protocol/public/migration.ts';
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
const BOX = `shv-${process.pid}`;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';
/** More than all the rest of the container. */
const LARGE = 96 * MIB;

describe(
  'a container with a volume that both hosts see, to which it writes all the time',
  { skip },
  () => {
    let world: World;
    let data: string;
    let ino: number;

    before(async () => {
      await bringContainers();
      world = await openWorld('shv', { hosts: 2, containers: true });
      data = path.join(sharedVolumeDirectory(world.lab), 'db', 'data');
      await mkdir(data, { recursive: true });
      await runCommand(['dd', 'if=/dev/urandom', `of=${data}/large`, 'bs=1M', 'count=96']);
      ({ ino } = await stat(data));
      const own = path.join(volumeDirectory(labHost(world.lab, 'a').stateDir), 'own');
      await mkdir(own, { recursive: true });
      await writeFile(path.join(own, 'note'), 'copied');
      await startContainer(world.lab, {
        name: BOX,
        host: 'a',
        staticBytes: 16 * MIB,
        dirtyBytes: 4 * MIB,
        dirtyBytesPerSecond: MIB,
        binds: [
          { source: data, destination: '/data', options: ['nodev', 'nosuid'] },
          { source: own, destination: '/own', options: ['nodev'] },
        ],
      });
    });
    after(() => world?.close());

    /** Each line that it was seen to have synced is there once, in order, in the very directory that it always was. */
    async function eachLineOnce(host: string, work: () => Promise<unknown>): Promise<void> {
      const before = (await readGuestStats(world.lab, BOX)).commits;
      await work();
      const { commits } = await readGuestStats(world.lab, BOX);
      assert.ok(commits > before, `${commits} lines, and ${before} before`);
      assert.deepEqual(await containerRunsOn(world.lab, BOX), [host]);
      const lines = (await readFile(path.join(data, 'lines'), 'utf8')).trimEnd().split('\n');
      assert.ok(lines.length >= commits, `${lines.length} lines, and ${commits} were synced`);
      for (const [index, line] of lines.entries()) assert.equal(line, String(index + 1));
      await onlyTheVolume();
    }

    /** Nothing was made beside it, in it, or in its place. */
    async function onlyTheVolume(): Promise<void> {
      assert.equal((await stat(data)).ino, ino);
      assert.deepEqual(await readdir(path.dirname(data)), ['data']);
      assert.deepEqual((await readdir(data)).toSorted(), ['large', 'lines']);
      assert.equal((await stat(path.join(data, 'large'))).size, LARGE);
    }

    async function unharmed(host: string, work: () => Promise<unknown>): Promise<void> {
      await keepsConnection(world, BOX, () => eachLineOnce(host, work));
      assert.partialDeepStrictEqual(await verifyGuest(world.lab, BOX), { ok: true, badChunks: 0 });
    }

    const inBox = (host: string, script: string): Promise<string> =>
      labRunc(runcRoot(labHost(world.lab, host).stateDir), [
        'exec',
        BOX,
        '/bin/node',
        '-e',
        script,
      ]);

    test('a container moves and returns with its connection: each line is written once, and no volume is sent', async () => {
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        let report: Report | undefined;
        await unharmed(to, async () => {
          report = await move(world, { guest: BOX, from, to });
        });
        assert.ok((report?.bytes ?? Infinity) < LARGE, JSON.stringify(report));
        const found = report?.checks.find(({ evidence }) => evidence.includes('the volume /data'));
        assert.match(found?.evidence ?? '', /each read what the other wrote there, so it stays/);
        assert.equal(
          await inBox(to, "console.log(fs.readFileSync('/own/note', 'utf8'))"),
          'copied\n',
        );
        await untilNoneLeft(world, from);
      }
    });

    test('a container stays at the source after a cancel or a killed destination mover, and so does the volume', async () => {
      await unharmed('a', async () => {
        const id = await begin(world, { guest: BOX, from: 'a', to: 'b', ...SLOW });
        await untilMemoryFlows(world, 'a', id);
        await world.agent('a').cancel({ params: { id } });
        assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
      });
      await untilNoneLeft(world, 'b');
      await unharmed('a', async () => {
        const id = await begin(world, { guest: BOX, from: 'a', to: 'b', ...SLOW });
        await untilMemoryFlows(world, 'a', id);
        await killMover(world, 'b', id);
        assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'failed');
      });
      await untilNoneLeft(world, 'b');
    });

    test('a container stays at the source if its mover is killed after the freeze, and so does the volume', async () => {
      await unharmed('a', async () => {
        const id = await begin(world, { guest: BOX, from: 'a', to: 'b' });
        await follow(world, 'a', id, ({ phase }) => phase === 'switchover');
        await killMover(world, 'a', id);
        const { outcome, runsAt } = await reportAtEnd(world, 'a', id);
        assert.deepEqual([outcome, runsAt], ['failed', 'source']);
      });
      await untilNoneLeft(world, 'b');
    });

    /** In the mount namespace of an agent, which its movers share. */
    async function withMount(
      host: string,
      [at, script]: readonly [at: string, script: string],
      work: (within: (script: string) => Promise<string>) => Promise<void>,
    ): Promise<void> {
      const pid = (await agentsOf(world.lab, host))[0]?.pid ?? 0;
      const within = (text: string): Promise<string> =>
        runCommand(['nsenter', '-m', '-t', String(pid), 'sh', '-c', text, at]);
      await within(script);
      try {
        await work(within);
      } finally {
        await within('umount "$0"');
      }
    }

    test('a container is refused if the destination has only a directory of that name, which is not touched', async () => {
      await eachLineOnce('a', () =>
        withMount(
          'b',
          [data, 'mount -t tmpfs other "$0" && echo theirs > "$0/lines"'],
          async (within) => {
            const error = await refusalOf(world, { guest: BOX, from: 'a', to: 'b' });
            assert.equal(error.code, 'GODWIT_DEVICE_UNMAPPED');
            assert.match(error.message, /the volume \/data .* is there already/);
            assert.equal(await within('ls -A "$0"; cat "$0/lines"'), 'lines\ntheirs\n');
          },
        ),
      );
      await untilNoneLeft(world, 'b');
    });

    test('a container is refused by name if the destination sees the volume and may not write to it', async () => {
      const storage = storageDirectory(world.lab, 'b');
      await eachLineOnce('a', () =>
        withMount(
          'b',
          [storage, 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'],
          async () => {
            const error = await refusalOf(world, { guest: BOX, from: 'a', to: 'b' });
            assert.equal(error.code, 'GODWIT_DEVICE_UNMAPPED');
            assert.match(error.message, /the volume \/data .*may not write there \(EROFS/);
          },
        ),
      );
      await untilNoneLeft(world, 'b');
    });

    test('a container with an open deleted file in the volume is refused by name, and moves cold with it', async () => {
      const root = runcRoot(labHost(world.lab, 'a').stateDir);
      const holds = `
      for (const fd of [0, 1, 2]) { fs.closeSync(fd); fs.openSync('/dev/null', 'r+'); }
      fs.openSync('/data/gone', 'w'); fs.unlinkSync('/data/gone'); setInterval(() => {}, 1000)`;
      await labRunc(root, ['exec', '-d', BOX, '/bin/node', '-e', holds]);
      await until('the file to be deleted', 20_000, async () => {
        const pids = (await labRunc(root, ['ps', '-f', 'json', BOX])).match(/\d+/g) ?? [];
        const links = pids.map((pid) => runCommand(['ls', '-l', `/proc/${pid}/fd`]));
        return (await Promise.all(links)).some((text) => text.includes('/data/gone (deleted)'))
          ? true
          : undefined;
      });
      const error = await refusalOf(world, { guest: BOX, from: 'a', to: 'b' });
      assert.equal(error.code, 'GODWIT_DEVICE_UNMOVABLE');
      assert.match(error.message, /\/data .*\/data\/gone is open there and was deleted/);
      let { bootId } = await readGuestStats(world.lab, BOX);
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        await eachLineOnce(to, async () => {
          await move(world, { guest: BOX, from, to, mode: 'cold' });
          bootId = await until('the container to be up', 30_000, async () => {
            const found = await readGuestStats(world.lab, BOX).catch(() => undefined);
            return found === undefined || found.bootId === bootId ? undefined : found.bootId;
          });
        });
        await untilNoneLeft(world, from);
      }
    });

    test('a container moves after all that', async () => {
      await unharmed('b', () => move(world, { guest: BOX, from: 'a', to: 'b' }));
      await untilNoneLeft(world, 'a');
    });
  },
);
