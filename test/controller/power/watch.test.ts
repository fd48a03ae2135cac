import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { controllerConfig } from '../../../src/controller/config.ts';
import { emptyHosts } from '../engine/empty-hosts.ts';
import { StoredFleet } from '../../../src/controller/engine/fleet-view.ts';
import { managedText } from '../../../src/controller/inventory/managed-facts.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { CLOSED_MS } from '../../../src/controller/power/steps.ts';
import { PowerWatch } from '../../../src/controller/power/watch.ts';
import { askToWake, closeForSleep } from '../../../src/controller/store/power.ts';
import { powerOf } from '../../../src/controller/store/power-rows.ts';
import type { SiteAnswer } from '../../../src/hooks/site-program.ts';
import { silentLog } from '../../../src/log.ts';
import { policySettings } from '../../../src/protocol/controller/policy.ts';
import { Scene } from '../policy/scene.ts';

const power = { program: { file: '/site/power' }, hosts: ['a', 'b', 'c'], emptyMs: 60_000 };
const OK: SiteAnswer = { ok: true, words: '' };

/** A fleet of a, b and c, the site's program, and a controller that follows all of them. */
async function sleeping(t: TestContext, mode: 'automatic' | 'propose' = 'automatic') {
  const scene = await Scene.open({ sqlite: ':memory:' }, ['a', 'b', 'c']);
  t.after(() => scene.store.close());
  const { store, policies, requests } = scene;
  scene.put('a', { g1: 2 });
  await scene.watch(12);
  await policies.put('consolidate', 'fleet', policySettings.parse({ mode }), 'test');
  const config = controllerConfig.parse({
    name: 'control',
    address: '127.0.0.1:0',
    stateDir: '/nowhere',
    power,
  });
  const held = new Map(
    (await store.db.selectFrom('host_leases').select(['shard', 'epoch']).execute()).map(
      ({ shard, epoch }) => [shard, epoch],
    ),
  );
  const calls: string[] = [];
  let answer = OK;
  const made = (): PowerWatch =>
    new PowerWatch({
      store,
      policies,
      requests,
      fleet: new StoredFleet(store, () => performance.now()),
      clock: systemClock,
      log: silentLog,
      held: () => held,
      hosts: emptyHosts,
      settings: config.power,
      runProgram: ({ args = [] }) => {
        calls.push(args.join(' '));
        return Promise.resolve(answer);
      },
    });
  let watch = made();
  const states = async () =>
    Object.fromEntries([...(await powerOf(store.db))].map(([name, { state }]) => [name, state]));
  return {
    scene,
    store,
    held,
    calls,
    states,
    answers: (next: SiteAnswer) => (answer = next),
    restart: () => (watch = made()),
    /** Looks once; programs end. */
    look: async () => {
      await watch.look(config.power!);
      await watch.settled();
      return states();
    },
    /** What is in the store is so much older. */
    pass: async (ms: number) => {
      for (const { host, since } of await store.db.selectFrom('host_power').selectAll().execute())
        await store.db
          .updateTable('host_power')
          .set({ since: since - ms })
          .where('host', '=', host)
          .execute();
    },
    heard: (name: string, state: 'up' | 'silent') =>
      store.db.updateTable('hosts').set({ state }).where('name', '=', name).execute(),
  };
}

/** Hosts count as empty from the first look on; a clock of the store cannot be turned on. */
async function emptied(t: TestContext, mode?: 'automatic' | 'propose') {
  const all = await sleeping(t, mode);
  const { scene, store, held } = all;
  const [name] = ['b', 'c'];
  assert.ok(name !== undefined && scene.guests.size === 1);
  assert.deepEqual(await all.look(), {});
  assert.equal(await closeForSleep(store, held, name), true);
  return all;
}

test("a host without guests is closed, put to sleep by the site's program, and woken on request", async (t) => {
  const { look, pass, heard, calls, store, scene } = await emptied(t);
  assert.deepEqual(await look(), { b: 'falling-asleep' });
  assert.deepEqual(calls, []);
  assert.equal((await scene.requests.world()).marks.get('b')?.power, 'falling-asleep');
  await pass(CLOSED_MS);
  assert.deepEqual(await look(), { b: 'asleep' });
  assert.deepEqual(calls, ['sleep b']);
  await heard('b', 'silent');
  await pass(3_600_000);
  assert.deepEqual(await look(), { b: 'asleep' });
  await store.transaction((db) => askToWake(db, ['a', 'b'], store.nowMs));
  assert.deepEqual(await look(), { b: 'waking' });
  assert.deepEqual(await look(), { b: 'waking' });
  assert.deepEqual(calls, ['sleep b', 'wake b']);
  await heard('b', 'up');
  assert.deepEqual(await look(), {});
});

test('no host sleeps if the policy is not automatic, and a sleeping one is woken', async (t) => {
  const { look, calls } = await emptied(t, 'propose');
  assert.deepEqual(await look(), {});
  assert.deepEqual(calls, []);
});

test('a host whose manager sets its power by itself is not put to sleep', async (t) => {
  const { look, pass, store, calls } = await emptied(t);
  const powerMode = { sets: 'manager', words: 'DPM of C0' } as const;
  const managed = managedText({ manager: 'vc1', realm: 'vc1', powerMode });
  await store.db.updateTable('hosts').set({ managed }).where('name', '=', 'b').execute();
  await pass(CLOSED_MS);
  assert.deepEqual(await look(), {});
  assert.deepEqual(calls, []);
});

test('an arriving guest keeps its host on, and a host with a guest is not closed', async (t) => {
  const { look, pass, scene, store, held, calls } = await emptied(t);
  scene.put('b', { g2: 1 });
  await scene.watch(1);
  await pass(CLOSED_MS);
  assert.deepEqual(await look(), {});
  assert.equal(await closeForSleep(store, held, 'b'), false);
  assert.deepEqual(calls, []);
});

test('a host stays on and is left alone if the program fails', async (t) => {
  const { look, pass, answers, calls } = await emptied(t);
  answers({ ok: false, words: '', why: 'ended with 1' });
  await pass(CLOSED_MS);
  await look();
  assert.deepEqual(calls, ['sleep b']);
  assert.deepEqual(await look(), {});
  assert.deepEqual(calls, ['sleep b']);
});

test('a restarted controller repeats an unfinished wake-up, and its predecessor writes nothing under a lost lease', async (t) => {
  const { look, restart, store, held, calls, states } = await emptied(t);
  await store.transaction((db) => askToWake(db, ['b'], store.nowMs));
  await look();
  restart();
  await look();
  assert.deepEqual(calls, ['wake b', 'wake b']);
  held.delete(shardOf('c'));
  assert.equal(await closeForSleep(store, held, 'c'), false);
  assert.deepEqual(await states(), { b: 'waking' });
});

test('a policy whose guests need a sleeping host wakes it, and moves no guest there before it is on', async (t) => {
  const { scene, store, held, states } = await emptied(t);
  scene.put('a', { g1: 4, g2: 4, g3: 2 });
  await scene.watch(36);
  assert.equal(await closeForSleep(store, held, 'c'), true);
  await store.db.updateTable('host_power').set({ state: 'asleep' }).execute();
  await store.db.updateTable('hosts').set({ state: 'silent' }).where('name', '!=', 'a').execute();
  await scene.turn('consolidate');
  const woken = Object.entries(await states()).filter(([, state]) => state === 'waking');
  assert.equal(woken.length, 1);
  assert.deepEqual(await scene.requests.list(), []);
  assert.deepEqual(await scene.proposals.list({ limit: 10 }), []);
  // Nor does a later look wake one more for the same guests.
  await scene.turn('consolidate');
  assert.equal(Object.values(await states()).filter((state) => state === 'waking').length, 1);
  await store.db.deleteFrom('host_power').where('state', '=', 'waking').execute();
  await store.db.updateTable('hosts').set({ state: 'up' }).execute();
  await scene.turn('consolidate');
  const [host = ''] = woken[0] ?? [];
  assert.deepEqual(
    (await scene.requests.list()).map(({ ask }) => ask.to),
    [[host]],
  );
});
