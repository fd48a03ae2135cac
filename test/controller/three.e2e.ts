import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { openStore } from '../../src/controller/store/open.ts';
import type { Store } from '../../src/controller/store/store.ts';
import { hasCode } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { startPostgres, type Postgres } from '../../tools/postgres.ts';
import { fleet, guest, type TestHost } from '../agent/samples.ts';
import { until } from '../until.ts';
import { startProcess, type ControllerProcess } from './controller-process.ts';

/** How often a controller is killed in the middle of a drain; a hundred times give the figure of the measurements. */
const KILLS = Number(process.env['CONTROLLER_KILLS'] ?? 3);
const WAIT_MS = 60_000 + 30_000 * KILLS;
const DRAIN = { id: 'r-00000001' };
const GUESTS = ['g1', 'g2', 'g3'];

let postgres: Postgres;

before(async () => {
  postgres = await startPostgres();
});
after(() => postgres.stop());

interface Scene {
  /** The host that is drained; its movers run until somebody ends them. */
  readonly a: TestHost;
  readonly store: Store;
  readonly controllers: readonly ControllerProcess[];
  readonly as: Awaited<ReturnType<typeof fleet>>['as'];
}

/** Controllers on one PostgreSQL, and a drain whose moves are under way. */
async function draining(t: TestContext, names: readonly string[]): Promise<Scene> {
  const { host, caDir, as } = await fleet(t);
  const b = await host('b');
  const guests = GUESTS.map((name, index) => guest(name, { uuid: `u-${index}` }));
  const peers = { b: { address: b.agent.address } };
  const a = await host('a', { guests: () => guests, peers });
  const database = await postgres.database();
  const hosts = { a: { address: a.agent.address }, b: { address: b.agent.address } };
  const given = { caDir, hosts, database: { postgres: database } };
  const controllers: ControllerProcess[] = [];
  for (const name of names) controllers.push(await startProcess(t, { ...given, name }));
  const store = await openStore({ postgres: database }, silentLog);
  t.after(() => store.close());
  const { api } = controllers[0]!;
  await until('the hosts to be followed', WAIT_MS, async () => {
    const { hosts: all } = await api.hosts().catch(() => ({ hosts: [] }));
    return all.length === 2 && all.every(({ state }) => state === 'up') ? true : undefined;
  });
  await api.putRequest({ params: DRAIN, query: {}, body: { kind: 'drain', hosts: ['a'] } });
  await until('a move to run', WAIT_MS, async () => {
    const { moves } = await api.request({ params: DRAIN }).catch(() => ({ moves: [] }));
    return moves.some(({ phase }) => phase === 'running') ? true : undefined;
  });
  return { a, store, controllers, as };
}

/** Whose claim on the drain holds, and its epoch. */
async function holderOf({
  db,
  nowMs,
}: Store): Promise<{ name: string; epoch: number } | undefined> {
  return db
    .selectFrom('claims')
    .innerJoin('controllers', 'controllers.id', 'claims.owner')
    .select(['controllers.name as name', 'claims.epoch as epoch'])
    .where('claims.request_id', '=', DRAIN.id)
    .where('claims.lease_until', '>', nowMs)
    .executeTakeFirst()
    .catch(() => undefined);
}

/** Once a controller has the claim that is none of these. */
const nextHolder = (store: Store, gone: readonly string[] = []) =>
  until('a controller to take the claim', WAIT_MS, async () => {
    const holder = await holderOf(store);
    return holder !== undefined && !gone.includes(holder.name) ? holder : undefined;
  });

const one = (all: readonly ControllerProcess[], name: string): ControllerProcess =>
  all.find((each) => each.name === name) ?? assert.fail(`there is no controller ${name}`);

/** No guest is moved twice, and no mover was started twice. */
async function assertOnce({ a, store }: Scene): Promise<void> {
  const moves = await store.db.selectFrom('moves').select(['id', 'guest']).execute();
  const [guests, started] = [moves.map((each) => each.guest), a.movers.started];
  assert.equal(new Set(guests).size, guests.length, guests.join());
  assert.equal(new Set(started).size, started.length, started.join());
  const ids = new Set(moves.map(({ id }) => id));
  assert.ok(started.length > 0 && started.every((id) => ids.has(id)), started.join());
}

test('a drain continues whichever of three controllers dies, one after the other, and when PostgreSQL is restarted', async (t) => {
  const scene = await draining(t, ['one', 'two', 'three']);
  const { store } = scene;
  let { controllers } = scene;
  let last = await nextHolder(store);
  const tookMs: number[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const dead = one(controllers, last.name);
    await dead.kill();
    const begun = performance.now();
    last = await nextHolder(store, [dead.name]);
    tookMs.push(Math.round(performance.now() - begun));
    const again = await dead.again();
    controllers = controllers.map((each) => (each === dead ? again : each));
  }
  const sorted = tookMs.toSorted((left, right) => left - right);
  const p99 = sorted[Math.ceil(sorted.length * 0.99) - 1];
  t.diagnostic(`another controller had the drain after ${sorted.join(', ')} ms; p99 ${p99} ms`);
  await assertOnce(scene);

  // Two of three die at once, and their database with them.
  const [dies, diesToo, stays] = [last.name, ...controllers.map(({ name }) => name)]
    .filter((name, index, all) => all.indexOf(name) === index)
    .map((name) => one(controllers, name));
  await Promise.all([dies!.kill(), diesToo!.kill()]);
  await postgres.restart();
  await nextHolder(store, [dies!.name, diesToo!.name]);
  await assertOnce(scene);
  const { api } = stays!;
  await until('the hosts to be followed again', WAIT_MS, async () => {
    const { hosts } = await api.hosts().catch(() => ({ hosts: [] }));
    const isUp = hosts.every((each) => each.state === 'up' && each.followedBy === stays!.name);
    return hosts.length === 2 && isUp ? true : undefined;
  });
  await api.cancelRequest({ params: DRAIN, query: { rollBack: 'true' } });
  const { moves } = await until('the drain to end', WAIT_MS, async () => {
    const found = await api.request({ params: DRAIN }).catch(() => undefined);
    return found?.request.phase === 'cancelled' ? found : undefined;
  });
  assert.deepEqual(new Set(moves.map(({ phase }) => phase)), new Set(['cancelled']));
  await assertOnce(scene);
});

test('a controller stopped for longer than its claim is refused by agents and the database when it continues', async (t) => {
  const scene = await draining(t, ['one', 'two']);
  const { a, store, controllers } = scene;
  const before = await nextHolder(store);
  const stopped = one(controllers, before.name);
  stopped.process.kill('SIGSTOP');
  const other = one(controllers, (await nextHolder(store, [stopped.name])).name);
  // The agents learn of the new epoch by the next order.
  await other.api.cancelRequest({ params: DRAIN, query: { rollBack: 'true' } });
  await until('the drain to end', WAIT_MS, async () => {
    const found = await other.api.request({ params: DRAIN }).catch(() => undefined);
    return found?.request.phase === 'cancelled' ? true : undefined;
  });
  const rows = () =>
    store.db.selectFrom('requests').selectAll().where('id', '=', DRAIN.id).execute();
  const moves = () => store.db.selectFrom('moves').selectAll().orderBy('id').execute();
  const ended = [await rows(), await moves()];
  stopped.process.kill('SIGCONT');
  await until('it to go on', WAIT_MS, async () => {
    const alive = store.db.selectFrom('controllers').select('id').where('name', '=', stopped.name);
    return alive.where('alive_until', '>', store.nowMs).executeTakeFirst();
  });
  // What it would still order, and what it would still write, as it knew things when it was stopped.
  const order = { order: DRAIN.id, epoch: String(before.epoch) };
  const asStopped = await scene.as(stopped.name, 'controller', a);
  const [id = ''] = a.movers.started;
  const stale = asStopped.cancel({ params: { id }, query: order });
  await assert.rejects(stale, (thrown) => hasCode(thrown, 'GODWIT_ORDER_STALE'));
  assert.deepEqual([await rows(), await moves()], ended);
  await assertOnce(scene);
});
