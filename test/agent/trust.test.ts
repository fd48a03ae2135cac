import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { FLEET_FILE } from '../../src/host/fleet.ts';
import { fleet } from './samples.ts';
import { trustOf } from '../../src/agent/trust.ts';
import type { Migration } from '../../src/agent/migrations/store.ts';
import { systemClock } from '../../src/clock.ts';
import { Refusals } from '../../src/rpc/refusals.ts';

const peers = { b: { address: '127.0.0.1:1' } };

test('an agent reports its certificate, its list, and the refused callers with their counts', async (t) => {
  const { host, as } = await fleet(t);
  const a = await host('a', { holdsCa: true, peers });
  const c = await as('c', 'agent', a);
  for (let time = 0; time < 3; time += 1) {
    await assert.rejects(c.host(), { code: 'GODWIT_NOT_A_MEMBER' });
  }
  const b = await as('b', 'agent', a);
  await assert.rejects(b.cancel({ params: { id: 'm-0123456789' } }), {
    code: 'GODWIT_ROLE_FORBIDDEN',
  });
  const reported = await a.api.trust();
  assert.equal(reported.host, 'a');
  assert.equal(reported.certificate.failures, 0);
  assert.ok(Date.parse(reported.certificate.validTo) > Date.now());
  assert.equal(reported.list?.holder, 'a');
  assert.equal(reported.listProblem, undefined);
  const counts = reported.refusals.map(({ peer, code, count }) => `${peer} ${code} ${count}`);
  assert.deepEqual(counts.toSorted(), [
    'b (agent) GODWIT_ROLE_FORBIDDEN 1',
    'strangers at 127.0.0.1 GODWIT_NOT_A_MEMBER 3',
  ]);
  assert.match(
    reported.refusals.find(({ count }) => count === 3)?.message ?? '',
    /c is not in the fleet list/,
  );
});

test('a damaged list is reported by its file', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { peers });
  writeFileSync(path.join(a.config.stateDir, FLEET_FILE), 'nonsense');
  const reported = await a.api.trust();
  assert.equal(reported.list, undefined);
  assert.match(reported.listProblem ?? '', /\/fleet\.json is damaged/);
});

test('migrations that began before the CAs or the certificate last changed are counted until they end', async (t) => {
  const { host } = await fleet(t);
  const { config } = await host('a', { peers });
  const migration = (id: string, createdAt: string): Migration =>
    ({ id, dir: '', request: { createdAt } }) as Migration;
  const all = [
    migration('m-1', '2026-01-01T00:00:00.000Z'),
    migration('m-2', '2026-01-01T00:00:00.000Z'),
    migration('m-3', '2999-01-01T00:00:00.000Z'),
  ];
  const ended = new Set(['m-2']);
  const reported = () =>
    trustOf({
      config,
      fleet: { list: () => undefined },
      spread: { twoHolders: () => [], authoritiesProblem: undefined },
      renewal: { failed: { count: 0, why: undefined } },
      refusals: new Refusals(systemClock),
      ofMovers: { list: () => [] },
      store: { all: () => all, isEnded: (id) => ended.has(id) },
    });
  assert.equal(reported().earlierMigrations, 1);
  ended.add('m-1');
  assert.equal(reported().earlierMigrations, undefined);
});
