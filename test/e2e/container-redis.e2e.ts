import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { labRunc } from '../../lab/container/launch.ts';
import { runcRoot, volumeDirectory } from '../../lab/container/places.ts';
import { startContainer } from '../../lab/container/start.ts';
import { labHost } from '../../lab/state.ts';
import { containerRunsOn } from '../../lab/witness/containers.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { until } from '../until.ts';
import { untilNoneLeft } from './support/containers.ts';
import { begin, move, reportAtEnd, SLOW, untilMemoryFlows } from './support/moves.ts';
import { openRedisClient, redisProgram, type RedisClient } from './support/redis.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const BOX = `red-${process.pid}`;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';
/** So many steps of each connection are clearly more than none. */
const STEPS = 100;

describe('a container with Redis and constant writes', { skip }, () => {
  let world: World;
  let client: RedisClient;

  before(async () => {
    await bringContainers();
    const program = await redisProgram();
    world = await openWorld('red', { hosts: 2, containers: true });
    const source = path.join(volumeDirectory(labHost(world.lab, 'a').stateDir), 'redis');
    await mkdir(source, { recursive: true });
    const { address } = await startContainer(world.lab, {
      name: BOX,
      host: 'a',
      staticBytes: 24 * MIB,
      dirtyBytes: 0,
      dirtyBytesPerSecond: 0,
      program,
      binds: [{ source, destination: '/data' }],
    });
    client = await openRedisClient(world.lab, address);
    await client.fill();
    await client.write();
  });
  after(async () => {
    await client?.stop();
    await world?.close();
  });

  async function untilMoreAcknowledged(): Promise<void> {
    const before = (await client.look()).steps;
    await until(`${STEPS} more transactions of each connection`, 30_000, async () => {
      const { steps, wrong } = await client.look();
      assert.deepEqual(wrong, []);
      return steps.every((each, index) => each >= (before[index] ?? 0) + STEPS) ? true : undefined;
    });
  }

  /** Each acknowledged write is there once, and every connection lives. */
  async function nothingLost(host: string, work: () => Promise<unknown>): Promise<string> {
    await untilMoreAcknowledged();
    await work();
    await untilMoreAcknowledged();
    assert.deepEqual(await containerRunsOn(world.lab, BOX), [host]);
    await client.pause();
    assert.deepEqual(await client.check(), []);
    const { steps, gapMs, wrong } = await client.look();
    assert.deepEqual(wrong, []);
    await client.write();
    return `${steps.reduce((sum, each) => sum + each)} transactions, gap ${gapMs} ms`;
  }

  for (const mode of ['precopy', 'postcopy'] as const) {
    test(`a container moves and returns by ${mode}: each acknowledged write is there once, over the same connections`, async (t) => {
      for (const [from, to] of [
        ['a', 'b'],
        ['b', 'a'],
      ] as const) {
        t.diagnostic(await nothingLost(to, () => move(world, { guest: BOX, from, to, mode })));
        await untilNoneLeft(world, from);
      }
    });
  }

  test('a container loses no write and no connection when its move is cancelled', async () => {
    await nothingLost('a', async () => {
      const id = await begin(world, { guest: BOX, from: 'a', to: 'b', ...SLOW });
      await untilMemoryFlows(world, 'a', id);
      await world.agent('a').cancel({ params: { id } });
      assert.equal((await reportAtEnd(world, 'a', id)).outcome, 'cancelled');
    });
    await untilNoneLeft(world, 'b');
  });

  test('a container moves cold: it reads all acknowledged writes from its volume when it starts again', async () => {
    await untilMoreAcknowledged();
    await move(world, { guest: BOX, from: 'a', to: 'b', mode: 'cold' });
    const { ended, wrong } = await until('Redis to be up', 30_000, () =>
      client.again().catch(() => undefined),
    );
    assert.deepEqual(wrong, []);
    assert.equal(ended, 4);
    await client.write();
    await nothingLost('b', async () => {});
  });

  test('the judging client detects a lost write and a doubled one', async () => {
    const root = runcRoot(labHost(world.lab, 'b').stateDir);
    const redis = (...words: string[]) =>
      labRunc(root, ['exec', BOX, '/usr/bin/redis-cli', ...words]);
    await client.pause();
    await redis('RPOP', 'log:0');
    await redis('INCR', 'count:1');
    const wrong = await client.check();
    assert.ok(
      wrong.some((each) => /^0 has \d+ entries, and \d+ were acknowledged$/.test(each)),
      wrong.join(),
    );
    assert.ok(
      wrong.some((each) => each.startsWith('count of 1 is')),
      wrong.join(),
    );
  });
});
