import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startContainer } from '../../lab/container/start.ts';
import { cgroupsOf, containerRunsOn } from '../../lab/witness/containers.ts';
import { planAnswer, type PlanAnswer } from '../../src/protocol/public/plan.ts';
import { bringContainers } from '../drivers/criu/bring.ts';
import { godwit } from './support/cli.ts';
import { keepsConnection, untilNoneLeft } from './support/containers.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const BOX = `planned-${process.pid}`;
const LOAD_MS = 60_000;
const skip = process.getuid?.() === 0 ? false : 'CRIU and runc need root';

describe('a container that may move', { skip }, () => {
  let world: World;

  before(async () => {
    await bringContainers();
    world = await openWorld('pbx', { hosts: 2, containers: true });
    const memory = { staticBytes: 48 * MIB, dirtyBytes: 16 * MIB, dirtyBytesPerSecond: 4 * MIB };
    await startContainer(world.lab, { name: BOX, host: 'a', ...memory });
  });
  after(async () => {
    await world?.close();
    assert.deepEqual(await cgroupsOf(BOX), []);
  });

  async function planOf(...flags: readonly string[]): Promise<PlanAnswer> {
    const { exit, out, err } = await godwit(
      world,
      'migrate',
      BOX,
      '--to',
      'b',
      '--dry-run',
      '--json',
      ...flags,
    );
    assert.equal(exit, 0, out + err);
    return planAnswer.parse(JSON.parse(out));
  }

  test('a container is measured and predicted while it runs, and left as it was', async () => {
    await keepsConnection(world, BOX, async () => {
      const { measured, unmeasured, prediction } = await planOf();
      assert.ok(measured !== undefined && prediction !== undefined, unmeasured ?? 'unsaid');
      assert.ok(measured.memoryBytes >= 64 * MIB, String(measured.memoryBytes));
      assert.ok((measured.curve.at(-1)?.dirtyBytes ?? 0) > 0, JSON.stringify(measured.curve));
      assert.equal(measured.how, 'pages');
      assert.ok(prediction.rounds.low >= 2 && prediction.downtimeMs.low > 0);
      assert.ok(prediction.bytes.middle >= 48 * MIB, JSON.stringify(prediction.bytes));
    });
    assert.deepEqual(await containerRunsOn(world.lab, BOX), ['a']);
    await untilNoneLeft(world, 'b');
  });

  test('a container has no prediction for post-copy, which is unmeasured, and the plan reports that', async () => {
    const { measured, prediction, advice } = await planOf('--mode', 'postcopy');
    assert.ok(measured !== undefined && prediction === undefined);
    assert.match(advice.join(), /--mode postcopy is not known/);
  });

  test('a container may wait for a quiet moment', async () => {
    const checked = await godwit(
      world,
      'migrate',
      BOX,
      '--to',
      'b',
      '--dry-run',
      '--when',
      'quiet',
    );
    assert.equal(checked.exit, 0, checked.out + checked.err);
  });

  test('a container counts by its cgroup in the load of its host', async () => {
    const signal = AbortSignal.timeout(LOAD_MS);
    for await (const event of world
      .agent('a')
      .hostEvents({ query: { load: 'true' } }, { signal })) {
      if (event.type !== 'load') continue;
      const found = event.load.guests.find(({ name }) => name === BOX);
      if (found === undefined) continue;
      assert.ok(found.residentBytes >= 64 * MIB, String(found.residentBytes));
      return;
    }
    assert.fail('no load has the container');
  });
});
