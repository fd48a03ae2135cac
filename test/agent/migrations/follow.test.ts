import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fleet, guest } from '../samples.ts';

const peers = { b: { address: '127.0.0.1:1' } };

test('the live view ends with the migration, and the report comes from its journal', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  const phases: string[] = [];
  for await (const line of a.api.events({ params: { id } })) {
    phases.push(line.phase);
    if (line.phase === 'checking') await a.api.cancel({ params: { id } });
  }
  assert.deepEqual(phases, ['checking', 'cancelled']);
  const report = await a.api.report({ params: { id } });
  assert.equal(report.outcome, 'cancelled');
  assert.equal(report.runsAt, 'source');
});

test('the live view continues after the death of a mover', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  let lines = 0;
  let last = '';
  for await (const line of a.api.events({ params: { id } })) {
    lines += 1;
    last = line.phase;
    if (lines === 1) await a.movers.end(id);
    if (a.movers.started.length === 2) await a.movers.fail(id);
  }
  assert.equal(last, 'cancelled');
});

test('a dead mover is replaced, once, and the migration stays one', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  await a.movers.end(id);
  while (!(await a.api.migrations()).migrations[0]?.moverAlive) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(a.movers.started, [id, id]);
});

test('an agent that starts again finds its movers alive and leaves them alone', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  const { api, movers } = await a.again();
  assert.equal((await api.progress({ params: { id } })).phase, 'checking');
  assert.deepEqual(movers.started, [id]);
});

test('an agent that starts again replaces a mover that died meanwhile', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  await a.agent.close();
  await a.movers.end(id);
  assert.deepEqual(a.movers.started, [id]);
  const { movers } = await a.again();
  assert.deepEqual(movers.started, [id, id]);
});

test('a cancel of an ended migration reports the end', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  assert.equal((await a.api.cancel({ params: { id } })).accepted, true);
  const again = await a.api.cancel({ params: { id } });
  assert.deepEqual(again, { accepted: false, what: `${id} has ended already: cancelled` });
});

test('ended migrations are kept for the list, newest first, over a restart', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const ids: string[] = [];
  for (let count = 0; count < 3; count += 1) {
    const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
    ids.unshift(id);
    await a.movers.fail(id);
  }
  const { api } = await a.again();
  const { migrations } = await api.migrations({ query: { limit: 2 } });
  assert.deepEqual(
    migrations.map(({ id, phase }) => [id, phase]),
    ids.slice(0, 2).map((id) => [id, 'cancelled']),
  );
});

test('an unknown migration is reported as unknown', async (t) => {
  const { host } = await fleet(t);
  const { api } = await host('a');
  const params = { id: 'm-zzzzzzzz' };
  const unknown = { code: 'GODWIT_MIGRATION_UNKNOWN' };
  await assert.rejects(api.progress({ params }), unknown);
  await assert.rejects(api.report({ params }), unknown);
  await assert.rejects(api.cancel({ params }), unknown);
  await assert.rejects(Array.fromAsync(api.events({ params })), unknown);
});
