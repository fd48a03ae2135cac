import assert from 'node:assert/strict';
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { hasCode } from '../../src/errors.ts';
import { holdMigration } from '../../src/host/journal/migration-lock.ts';
import { fleet, guest, type TestHost } from './samples.ts';

const peers = { b: { address: '127.0.0.1:1' } };
const names = ['web1', 'web2'];

/** A host that moves two guests. */
async function moving(t: TestContext, options: object = {}) {
  const { host, as } = await fleet(t);
  const a = await host('a', { guests: () => names.map((name) => guest(name)), peers, ...options });
  const ids: string[] = [];
  for (const name of names) ids.push((await a.api.migrate({ body: { guest: name, to: 'b' } })).id);
  const [bad = '', good = ''] = ids;
  return { a, as, bad, good, file: journalOf(a, bad) };
}

function journalOf({ config }: TestHost, id: string): string {
  return path.join(config.stateDir, 'migrations', id, 'journal-source.jsonl');
}

/** Another bit in the middle of the file. */
function flip(file: string): Buffer {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 2;
  writeFileSync(file, bytes);
  return bytes;
}

/** An event of a build that is yet to come. */
function newer(file: string): Buffer {
  const bytes = readFileSync(file);
  const seq = bytes.toString().split('\n').length - 1;
  const line = { v: 1, seq, at: 1, mono: 1, event: { type: 'teleported', deep: {} } };
  appendFileSync(file, `${JSON.stringify(line)}\n`);
  return readFileSync(file);
}

for (const [what, damage] of [
  ['whose journal is damaged', flip],
  ['of which a newer build has written', newer],
] as const) {
  test(`a migration ${what} is held when its mover ends, and the others continue`, async (t) => {
    const { a, bad, good, file } = await moving(t);
    const before = damage(file);
    await a.agent.close();
    await a.movers.end(bad);
    await a.movers.end(good);
    const { api, movers } = await a.again();
    const { migrations } = await api.migrations();
    const found = migrations.find(({ id }) => id === bad);
    assert.equal(found?.phase, 'held');
    assert.equal(found.error?.code, 'GODWIT_JOURNAL_DAMAGED');
    assert.match(found.error.message, /journal-source\.jsonl.*line \d/);
    assert.equal(found.moverAlive, false);
    assert.deepEqual(
      movers.started.filter((id) => id === bad),
      [bad],
      'no other mover',
    );
    while (!(await api.migrations()).migrations.find(({ id }) => id === good)?.moverAlive) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.deepEqual(readFileSync(file), before);
  });

  test(`a migration ${what} is neither decided nor reported as if it were known`, async (t) => {
    const { a, as, bad, file } = await moving(t);
    const before = damage(file);
    await a.movers.end(bad);
    const damaged = { code: 'GODWIT_JOURNAL_DAMAGED' };
    const params = { id: bad };
    const peer = await as('b', 'agent', a);
    await assert.rejects(a.api.report({ params }), damaged);
    await assert.rejects(a.api.cancel({ params }), damaged);
    const known = await a.api.resolution({ params });
    assert.deepEqual([known.here.phase, known.safe], ['held', undefined]);
    assert.ok(known.answers.every(({ verdict }) => verdict !== 'safe'));
    assert.ok(
      known.answers.every(({ risks }) => risks.some((each) => /journal-source/.test(each))),
    );
    const order = { runAt: 'source', confirm: 'web1', iKnow: true } as const;
    const refused = { code: 'GODWIT_RESOLVE_REFUSED' };
    await assert.rejects(a.api.resolve({ params, body: order }), refused);
    await assert.rejects(peer.side({ params, query: { look: 'hypervisor' } }), damaged);
    await assert.rejects(peer.takeUp({ params, body: { runAt: 'source', by: 'b' } }), damaged);
    await assert.rejects(a.api.migrate({ body: { guest: 'web1', to: 'b' } }), damaged);
    const lines = await Array.fromAsync(a.api.events({ params }));
    assert.deepEqual(
      lines.map(({ phase }) => phase),
      ['held'],
    );
    assert.deepEqual(readFileSync(file), before);
  });
}

test("a migration with a damaged journal is set aside with the operator's confirmation of each doubt", async (t) => {
  const { a, bad, good, file } = await moving(t);
  const params = { id: bad };
  const asked = { runAt: 'source', confirm: 'web1', iKnow: true } as const;
  const before = flip(file);
  const whileMoved = (await a.api.resolution({ params })).inDoubt;
  await assert.rejects(a.api.resolve({ params, body: { ...asked, answersFor: whileMoved } }), {
    code: 'GODWIT_RESOLVE_REFUSED',
    message: /a mover works on it/,
  });
  await a.movers.end(bad);
  const { inDoubt } = await a.api.resolution({ params });
  const own = inDoubt?.find(({ host }) => host === 'a')?.doubts;
  assert.ok(own?.includes('damaged journal'), String(own));
  const unproved = { ...asked, iKnow: false, answersFor: inDoubt };
  await assert.rejects(a.api.resolve({ params, body: unproved }), {
    code: 'GODWIT_RESOLVE_UNPROVED',
  });
  const answer = await a.api.resolve({ params, body: { ...asked, answersFor: inDoubt } });
  assert.deepEqual([answer.proof, answer.setAside], ['operator', true]);
  const left = (await a.api.migrations()).migrations.map(({ id }) => id);
  assert.deepEqual(left, [good]);
  const kept = path.join(a.config.stateDir, 'migrations-set-aside', bad, path.basename(file));
  assert.deepEqual(readFileSync(kept), before);
  const again = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  assert.notEqual(again.id, bad);
});

for (const side of ['source', 'destination'] as const) {
  test(`a damaged record is not set aside while a process holds the lock of its ${side} side`, async (t) => {
    const { a, bad, file } = await moving(t);
    const params = { id: bad };
    flip(file);
    // No readable mover.json names a mover.
    await a.movers.end(bad);
    const dir = path.dirname(file);
    const lock = await holdMigration({ dir, host: 'a', id: bad, side });
    const known = await a.api.resolution({ params });
    assert.equal(known.here.moverAlive, false);
    const answersFor = known.inDoubt;
    const body = { runAt: 'source', confirm: 'web1', iKnow: true, answersFor } as const;
    const refused = assert.rejects(a.api.resolve({ params, body }), {
      code: 'GODWIT_RESOLVE_REFUSED',
      message: new RegExp(`a mover works on its ${side} side`),
      hint: new RegExp(`pgrep -af ${bad}`),
    });
    await refused.finally(() => lock.release());
    assert.ok(existsSync(file), 'its record stays in place');
    const answer = await a.api.resolve({ params, body });
    assert.equal(answer.setAside, true);
    assert.ok(!existsSync(file));
  });
}

test('a journal that another program grew above the limit holds its own migration and no other', async (t) => {
  const { a, bad, good, file } = await moving(t);
  truncateSync(file, 65 * 1024 * 1024);
  await a.agent.close();
  await a.movers.end(bad);
  await a.movers.end(good);
  const { api, movers } = await a.again();
  const { migrations } = await api.migrations();
  assert.equal(migrations.find(({ id }) => id === bad)?.error?.code, 'GODWIT_TOO_LARGE');
  while (!(await api.migrations()).migrations.find(({ id }) => id === good)?.moverAlive) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.deepEqual(movers.started, [bad, good, good]);
});

test('a living mover continues next to a journal that was damaged meanwhile', async (t) => {
  const { a, bad, file } = await moving(t);
  flip(file);
  const { migrations } = await a.api.migrations();
  const found = migrations.find(({ id }) => id === bad);
  assert.equal(found?.phase, 'checking');
  assert.equal(found.moverAlive, true);
});

test('a damaged journal that was repaired is continued', async (t) => {
  const { a, bad, file } = await moving(t);
  const whole = readFileSync(file);
  flip(file);
  await a.movers.end(bad);
  const error = await a.api.cancel({ params: { id: bad } }).catch((thrown: unknown) => thrown);
  assert.ok(hasCode(error, 'GODWIT_JOURNAL_DAMAGED'));
  writeFileSync(file, whole);
  assert.equal((await a.api.cancel({ params: { id: bad } })).accepted, true);
});

test('guests that are held for a damaged journal take no room from moving guests', async (t) => {
  const { a, bad, file } = await moving(t, { limits: { migrationsOut: 2 } });
  flip(file);
  await a.movers.end(bad);
  assert.deepEqual((await a.api.host()).migrations, { in: 0, out: 1 });
});
