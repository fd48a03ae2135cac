import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';
import { controllerOf, controllerOfTwo } from './test-controller.ts';

/** Every file below a directory, with its bytes. */
function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map((each) => path.join(each.parentPath, each.name))
    .toSorted()
    .map((file) => `${file} ${readFileSync(file).toString('base64')}`);
}

/** What a database holds for requests. */
function rowsOf(file: string): string {
  const database = new DatabaseSync(file, { readOnly: true });
  const tables = [
    'requests',
    'claims',
    'moves',
    'reservations',
    'host_marks',
    'limits',
    'counters',
  ];
  const rows = tables.map((name) => database.prepare(`select * from ${name}`).all());
  database.close();
  return JSON.stringify(rows);
}

async function drained(t: TestContext) {
  const file = path.join(tempDir(t), 'fleet.db');
  const database = { sqlite: file };
  const two = await controllerOfTwo(t, { database });
  const again = () => controllerOf(t, two.caDir, { hosts: two.hosts, database });
  return { file, again, ...two };
}

const ask = { kind: 'drain' as const, hosts: ['a'] };

test('a dry run of a drain names the moving and the remaining guests, and changes nothing anywhere', async (t) => {
  const { a, b, api, file } = await drained(t);
  const before = [rowsOf(file), filesBelow(a.config.stateDir), filesBelow(b.config.stateDir)];
  const params = { id: 'r-00000001' };
  const { started, plan } = await api.putRequest({ params, query: { dryRun: 'true' }, body: ask });
  assert.equal(started, false);
  assert.deepEqual(
    plan.steps.map(({ guest: name, from, to }) => [name, from, to]),
    [['web1', 'a', 'b']],
  );
  assert.deepEqual(
    plan.stays.map(({ guest: name }) => name),
    ['web2'],
  );
  const after = [rowsOf(file), filesBelow(a.config.stateDir), filesBelow(b.config.stateDir)];
  assert.deepEqual(after, before);
  const late = { ...ask, deadlineAtMs: Date.now() };
  const refused = api.putRequest({ params, query: {}, body: late });
  await assert.rejects(refused, (thrown) => {
    assert.ok(hasCode(thrown, 'GODWIT_REQUEST_LATE'));
    const sum =
      /0 ms are left, the moves are predicted to take \S+ .*\(.* through the .* of a, out\), and 1 of them/;
    return sum.test(thrown.message);
  });
  const unknown = api.putRequest({ params, query: {}, body: { ...ask, hosts: ['zz'] } });
  await assert.rejects(unknown, (thrown) => hasCode(thrown, 'GODWIT_HOST_UNKNOWN'));
  const nobody = api.putRequest({ params, query: {}, body: { kind: 'migration', guest: 'web9' } });
  await assert.rejects(nobody, (thrown) => hasCode(thrown, 'GODWIT_GUEST_UNKNOWN'));
  const several = api.putRequest({ params, query: {}, body: { ...ask, hosts: ['a', 'b'] } });
  await assert.rejects(several, (thrown) => hasCode(thrown, 'GODWIT_USAGE'));
  const everyHost = { kind: 'evacuate' as const, hosts: ['a', 'b'] };
  const last = api.putRequest({ params, query: {}, body: everyHost });
  await assert.rejects(
    last,
    (thrown) =>
      hasCode(thrown, 'GODWIT_USAGE') && /no host is left for the guests/.test(thrown.message),
  );
  assert.equal(rowsOf(file), before[0]);
});

test('a drain continues under another controller, begins nothing twice, and is cancelled in the middle', async (t) => {
  const { a, api, controller, again } = await drained(t);
  const params = { id: 'r-00000001' };
  assert.equal((await api.putRequest({ params, query: {}, body: ask })).started, true);
  assert.equal((await api.putRequest({ params, query: {}, body: ask })).started, true);
  const another = api.putRequest({ params, query: {}, body: { ...ask, priority: 1 } });
  await assert.rejects(another, (thrown) => hasCode(thrown, 'GODWIT_REQUEST_TAKEN'));
  await until('the move to run', 20_000, async () => {
    const { moves } = await api.request({ params });
    return moves[0]?.phase === 'running' ? true : undefined;
  });
  await controller.close();
  const next = await again();
  await assert.rejects(
    next.api.putRequest({ params: { id: 'r-00000002' }, query: {}, body: ask }),
    (thrown) => hasCode(thrown, 'GODWIT_REQUEST_OPEN', 'GODWIT_HOST_UNKNOWN'),
  );
  assert.deepEqual(await next.api.cancelRequest({ params, query: { rollBack: 'true' } }), {
    accepted: true,
  });
  const { request, moves } = await until('the drain to end', 30_000, async () => {
    const found = await next.api.request({ params });
    return found.request.phase === 'cancelled' ? found : undefined;
  });
  assert.deepEqual([moves.length, moves[0]?.phase], [1, 'cancelled']);
  assert.deepEqual(new Set(a.movers.started), new Set([moves[0]?.id]));
  assert.deepEqual(
    request.stays.map(({ guest: name }) => name),
    ['web2'],
  );
  assert.deepEqual(await next.api.undrain({ params: { host: 'a' } }), { ok: true });
});

test('a drain that is requested a hundred times at once under one id is one drain', async (t) => {
  const { a, api } = await drained(t);
  const params = { id: 'r-00000001' };
  const answers = await Promise.all(
    // As long as the command line waits: each of them plans.
    Array.from({ length: 100 }, () =>
      api.putRequest({ params, query: {}, body: ask }, { deadlineMs: 90_000 }),
    ),
  );
  assert.ok(answers.every(({ started }) => started));
  // The other one is the last that is open.
  const last = api.putRequest({
    params: { id: 'r-00000002' },
    query: {},
    body: { ...ask, hosts: ['b'] },
  });
  await assert.rejects(
    last,
    (thrown) =>
      hasCode(thrown, 'GODWIT_USAGE') && /no host is left for the guests/.test(thrown.message),
  );
  assert.deepEqual(
    (await api.requests()).requests.map(({ id }) => id),
    [params.id],
  );
  const { moves } = await until('the move to run', 20_000, async () => {
    const found = await api.request({ params });
    return found.moves[0]?.phase === 'running' ? found : undefined;
  });
  assert.equal(moves.length, 1);
  assert.deepEqual(new Set(a.movers.started), new Set([moves[0]?.id]));
});
