import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { layerDirectory } from '../../lab/container/layer.ts';
import { labRunc, launchContainer, removeContainer } from '../../lab/container/launch.ts';
import {
  containerNetns,
  runcRoot,
  sharedVolumeDirectory,
  volumeDirectory,
} from '../../lab/container/places.ts';
import { startContainer } from '../../lab/container/start.ts';
import { labHost } from '../../lab/state.ts';
import { containerRunsOn } from '../../lab/witness/containers.ts';
import { removeTree } from '../../src/system/files/remove-tree.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { until } from '../until.ts';
import { move, refusalOf } from './support/moves.ts';
import { openWorld, type World } from './support/world.ts';

const run = promisify(execFile);
const SOURCE = path.resolve(import.meta.dirname, '../drivers/criu/holds.c');
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';
const HELD = { flock: 'held', posix: 'held', ofd: 'held', child: 'empty' };

describe(
  'a container whose program holds locks and a region that its children find empty',
  { skip },
  () => {
    let world: World;
    let layer: string;
    let box = '';
    let number = 0;

    before(async () => {
      await bringContainers();
      await mkdir(layerDirectory(), { recursive: true });
      const made = await mkdtemp(path.join(layerDirectory(), '.new-'));
      for (const each of ['proc', 'sys', 'dev']) await mkdir(path.join(made, each));
      await run('cc', ['-O2', '-static', '-o', path.join(made, 'holds'), SOURCE]);
      layer = path.join(layerDirectory(), `holds-${process.pid}`);
      await rename(made, layer);
      world = await openWorld('holds', { hosts: 2, containers: true });
    });
    after(async () => {
      await world?.close();
      await removeTree(layer);
    });

    /** Of a program that was told to hold that. */
    async function begin(...words: readonly string[]): Promise<void> {
      box = `hold${number++}-${process.pid}`;
      const own = path.join(volumeDirectory(labHost(world.lab, 'a').stateDir), `own-${box}`);
      const shared = path.join(sharedVolumeDirectory(world.lab), box);
      for (const each of [own, shared]) await mkdir(each, { recursive: true });
      await startContainer(world.lab, {
        name: box,
        host: 'a',
        staticBytes: 16 * 1024 ** 2,
        dirtyBytes: 0,
        dirtyBytesPerSecond: 0,
        program: { layer, args: ['/holds', ...words] },
        binds: [
          { source: own, destination: '/own' },
          { source: shared, destination: '/shared' },
        ],
      });
    }

    /** What a child of the program has found since the call. */
    async function found(host: string): Promise<{ [what: string]: string }> {
      const { stateDir } = labHost(world.lab, host);
      const root = (await state(host)).rootfs;
      assert.ok(root.startsWith(stateDir));
      const read = async () => {
        const text = await readFile(path.join(root, 'held'), 'utf8').catch(() => '');
        const words = [...text.matchAll(/(\w+)=(.*?)(?= \w+=|\n)/g)];
        return new Map(words.map(([, key = '', value = '']) => [key, value]));
      };
      const before = Number((await read()).get('turn') ?? 0);
      return until(`a turn of the program on ${host}`, 20_000, async () => {
        const now = await read();
        return Number(now.get('turn') ?? 0) > before ? Object.fromEntries(now) : undefined;
      });
    }
    async function state(host: string): Promise<{ rootfs: string }> {
      const text = await labRunc(runcRoot(labHost(world.lab, host).stateDir), ['state', box]);
      return JSON.parse(text) as { rootfs: string };
    }

    async function thereAndBack(cwd: RegExp): Promise<void> {
      assert.partialDeepStrictEqual(await found('a'), HELD);
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        await move(world, { guest: box, from, to });
        assert.deepEqual(await containerRunsOn(world.lab, box), [to]);
        const now = await found(to);
        assert.partialDeepStrictEqual(now, HELD);
        assert.match(now['cwd'] ?? '', cwd);
        const left = path.join(labHost(world.lab, from).stateDir, 'containers', box);
        await until('its files to be gone', 20_000, async () => !existsSync(left) || undefined);
      }
    }

    afterEach(async () => {
      for (const host of world.lab.hosts) {
        await labRunc(runcRoot(labHost(world.lab, host).stateDir), [
          'delete',
          '--force',
          box,
        ]).catch(() => undefined);
      }
    });

    test('a container moves and returns with its flock and fcntl locks, and with that region', async () => {
      await begin('/own');
      await thereAndBack(/^\/$/);
    });

    test("a container is refused post-copy and hybrid: its children would find the parent's memory in that region", async () => {
      await begin('/own');
      for (const mode of ['postcopy', 'hybrid'] as const) {
        const error = await refusalOf(world, { guest: box, from: 'a', to: 'b', mode });
        assert.match(error.message, /empty in its children \(MADV_WIPEONFORK\)/);
      }
      assert.deepEqual(await containerRunsOn(world.lab, box), ['a']);
      assert.partialDeepStrictEqual(await found('a'), HELD);
    });

    test("two containers of a pod are each refused by the other's name, and one moves once it is alone", async (t) => {
      await begin('/own');
      const { stateDir } = labHost(world.lab, 'a');
      const name = `side-${process.pid}`;
      const dir = path.join(stateDir, 'boxes', name);
      const own = path.join(volumeDirectory(stateDir), `own-${name}`);
      await mkdir(own, { recursive: true });
      const side = { name, root: runcRoot(stateDir), dir };
      t.after(() => removeContainer(side));
      await launchContainer({
        ...side,
        netns: containerNetns(world.lab.name, box),
        cgroup: `/godwit-lab-${world.lab.name}-${name}`,
        staticBytes: 0,
        dirtyBytes: 0,
        dirtyBytesPerSecond: 0,
        program: { layer, args: ['/holds', '/own'] },
        binds: [{ source: own, destination: '/own' }],
      });
      for (const [guest, other] of [
        [box, name],
        [name, box],
      ] as const) {
        const error = await refusalOf(world, { guest, from: 'a', to: 'b' });
        assert.equal(error.code, 'GODWIT_DEVICE_UNMOVABLE');
        assert.match(error.message, new RegExp(`the network namespace.* in a pod with ${other}`));
        assert.deepEqual(await containerRunsOn(world.lab, guest), ['a']);
      }
      await removeContainer(side);
      await thereAndBack(/^\/$/);
    });

    for (const place of ['/own/gone', '/gone'])
      test(`a container moves and returns in a working directory that was deleted: ${place}`, async () => {
        await begin('/own', place);
        await thereAndBack(/gone.*\(deleted\)$/);
      });

    test('a container is refused by name while it holds a lock in a volume that both hosts see', async () => {
      await begin('/shared');
      assert.partialDeepStrictEqual(await found('a'), HELD);
      const error = await refusalOf(world, { guest: box, from: 'a', to: 'b' });
      assert.equal(error.code, 'GODWIT_DEVICE_UNMOVABLE');
      assert.match(error.message, /\/shared .*\/shared\/\w+ is locked there/);
      assert.partialDeepStrictEqual(await found('a'), HELD);
    });

    test('a container is refused by name if its working directory was deleted in such a volume', async () => {
      await begin('/own', '/shared/gone');
      const error = await refusalOf(world, { guest: box, from: 'a', to: 'b' });
      assert.equal(error.code, 'GODWIT_DEVICE_UNMOVABLE');
      assert.match(error.message, /\/shared .*\/shared\/gone is open there and was deleted/);
      assert.partialDeepStrictEqual(await found('a'), HELD);
    });
  },
);
