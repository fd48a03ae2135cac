import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startGuest } from '../../lab/guest/start.ts';
import { guestLoad } from '../../src/protocol/public/hosts/guest-load.ts';
import { planAnswer } from '../../src/protocol/public/plan.ts';
import { report } from '../../src/protocol/public/migration.ts';
import { godwit } from './support/cli.ts';
import { assertUnchanged, hostsNow } from './support/remains.ts';
import { openWorld, type World } from './support/world.ts';

const MIB = 1024 ** 2;
const MEMORY = 256 * MIB;
const WORKING_SET = 64 * MIB;
/** Two looks, a minute from one to the next. */
const LOAD_MS = 180_000;

describe('the plan of godwit migrate --dry-run', () => {
  let world: World;

  before(async () => {
    world = await openWorld('plan', { hosts: 2 });
    await startGuest(world.lab, {
      name: 'web1',
      host: 'a',
      memoryBytes: MEMORY,
      workingSetBytes: WORKING_SET,
      dirtyBytesPerSecond: 4 * MIB,
    });
  });
  after(() => world?.close());

  test('the plan measures a running guest and the link, predicts the move, and leaves nothing on either host', async () => {
    const hosts = await hostsNow(world.lab);
    const { exit, out, err } = await godwit(
      world,
      'migrate',
      'web1',
      '--to',
      'b',
      '--dry-run',
      '--compare',
      '--json',
    );
    assert.equal(exit, 0, out + err);
    const { measured, link, prediction, others = [] } = planAnswer.parse(JSON.parse(out));
    assert.equal(measured?.how, 'pages', JSON.stringify(measured));
    assert.ok(measured.memoryBytes >= MEMORY && measured.pages > 1000);
    // Its kernel and its working set are there, and most of what it has was never touched.
    const { mix, curve } = measured;
    assert.ok(mix !== undefined && mix.zero > 0.2 && mix.zero < 0.9, JSON.stringify(mix));
    const written = curve.at(-1)?.dirtyBytes ?? 0;
    assert.ok(written > 2 * MIB && written < WORKING_SET, JSON.stringify(curve));
    assert.equal(link?.how, 'measured');
    assert.ok(link.rate > MIB);
    assert.ok(prediction !== undefined && prediction.converges.probability > 0.5, out);
    assert.ok(prediction.bytes.low < MEMORY && prediction.bytes.high > WORKING_SET);
    assert.ok(others.some(({ mode }) => mode === 'postcopy'));
    await assertUnchanged(world, hosts);
  });

  test(
    "the plan has the guest's load once its host has looked twice",
    { timeout: LOAD_MS },
    async () => {
      const seen = async () => {
        const { out } = await godwit(world, 'guest', 'web1', '--json');
        return z.object({ load: guestLoad }).parse(JSON.parse(out)).load.now;
      };
      let now = await seen();
      while (now === undefined) {
        await sleep(2000);
        now = await seen();
      }
      // It writes its memory all the time, and came up over its NIC.
      assert.ok(now.cores > 0.02 && now.cores < 8, JSON.stringify(now));
      assert.ok(now.inBytesPerS !== undefined && now.writtenBytesPerS !== undefined);
      assert.match(
        (await godwit(world, 'guest', 'web1')).out,
        /load +\d+\.\d\d processors, reads /,
      );
      const { out } = await godwit(world, 'migrate', 'web1', '--to', 'b', '--dry-run', '--json');
      assert.equal(planAnswer.parse(JSON.parse(out)).load?.hours.length, 1, out);
    },
  );

  test('the plan is in the report of the move that follows it, next to the results', async () => {
    const moved = await godwit(world, 'migrate', 'web1', '--to', 'b', '--json');
    assert.equal(moved.exit, 0, moved.out + moved.err);
    const reported = report.parse(JSON.parse(moved.out.trim().split('\n').at(-1) ?? ''));
    const { prediction, bytes = 0 } = reported;
    assert.ok(prediction !== undefined);
    assert.ok(bytes > 0);
    const shown = await godwit(world, 'report', reported.id);
    assert.match(shown.out, /Predicted\n[\s\S]*total time/);
  });

  test('the way back predicts by itself, without a requested plan', async () => {
    const moved = await godwit(world, 'migrate', 'web1', '--to', 'a', '--json');
    assert.equal(moved.exit, 0, moved.out + moved.err);
    const reported = report.parse(JSON.parse(moved.out.trim().split('\n').at(-1) ?? ''));
    const { prediction, unpredicted, bytes = 0 } = reported;
    assert.ok(prediction !== undefined, String(unpredicted));
    // As far as a busy machine lets one say: no more than all of its memory in one pass, and what it writes.
    assert.ok(prediction.bytes.low < bytes * 3 && prediction.bytes.high > bytes / 3, moved.out);
  });
});
