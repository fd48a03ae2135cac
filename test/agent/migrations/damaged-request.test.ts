import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { openDestinationJournal, openSourceJournal } from '../../../src/host/journal/journal.ts';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { admissionOf, planned } from '../../migration/direct/samples.ts';
import { fleet, guest, type TestHost } from '../samples.ts';

const plan = planned();
const { id } = plan;
const NEXT = 'm-00000007';
const peers = { a: { address: '127.0.0.1:1' }, b: { address: '127.0.0.1:1' } };
const damaged = { code: 'GODWIT_REQUEST_DAMAGED' };

/** How a request comes to be unreadable. */
const DAMAGES: readonly (readonly [string, (file: string) => void])[] = [
  ['is torn', (file) => writeFileSync(file, readFileSync(file).subarray(0, 40))],
  ['is missing', (file) => rmSync(file)],
  ['comes from a newer build', (file) => writeFileSync(file, '{"version":99}')],
  [
    'has another bit',
    (file) => writeFileSync(file, readFileSync(file, 'utf8').replace('"web1"', '"web3"')),
  ],
];

/** Host b holds a migration of web1 from a, armed, whose request was damaged; the agent starts after that. */
async function armed(t: TestContext, damage: (file: string) => void, journalToo = false) {
  const { host, as } = await fleet(t);
  const guests = () => [guest('web1', { state: 'incoming' }), guest('web2')];
  const b = await host('b', { peers, guests });
  const admission = admissionOf(plan);
  const peer = { name: 'a', address: '127.0.0.1:1' };
  const createdAt = '2026-11-24T10:00:00.000Z';
  const { dir } = new MigrationStore(b.config.stateDir, 'b', systemClock).add({
    version: 1,
    id,
    side: 'destination',
    fromHost: 'a',
    toHost: 'b',
    createdAt,
    peer,
    admission,
  });
  const { journal } = openDestinationJournal(dir, systemClock);
  await journal.append({ type: 'admitted', admission, host: 'b' }, 'sync');
  await journal.append({ type: 'armed', epoch: plan.epoch, bootId: 'boot-1' }, 'sync');
  await journal.close();
  damage(path.join(dir, 'request.json'));
  if (journalToo) writeFileSync(path.join(dir, 'journal-destination.jsonl'), 'not a record\n');
  return { b: await b.again(), as };
}

const openMoves = async (peer: Awaited<ReturnType<Awaited<ReturnType<typeof fleet>>['as']>>) => {
  const { moves } = await peer.sighting({ params: { guest: 'web1' }, query: { id: NEXT } });
  return moves.filter(({ ended }) => ended !== true).map(({ id: move }) => move);
};

async function assertHeld({ api, movers }: TestHost): Promise<void> {
  const found = (await api.migrations()).migrations.find((each) => each.id === id);
  assert.equal(found?.phase, 'held');
  assert.equal(found.error?.code, 'GODWIT_REQUEST_DAMAGED');
  assert.deepEqual(movers.started, []);
}

describe('armed migrations', () => {
  for (const [what, damage] of DAMAGES) {
    test(`an armed migration whose request ${what} is held, and its guest, id and hypervisor are kept`, async (t) => {
      const { b, as } = await armed(t, damage);
      const { api } = b;
      await assertHeld(b);
      await assert.rejects(api.report({ params: { id } }), damaged);
      const body = { guest: 'web1', to: 'a' };
      await assert.rejects(api.migrate({ body }), damaged);
      await assert.rejects(api.putMigration({ params: { id }, body: { guest: 'web2', to: 'a' } }), {
        code: 'GODWIT_ID_REUSED',
      });
      const a = await as('a', 'agent', b);
      await assert.rejects(a.side({ params: { id }, query: { look: 'journal' } }), damaged);
      await assert.rejects(a.incoming({ params: { id } }), damaged);
      assert.deepEqual(await openMoves(a), [id]);
      const { leftovers } = await api.leftovers();
      assert.deepEqual(
        leftovers.filter(({ safe }) => safe),
        [],
      );
      assert.deepEqual((await api.clearLeftovers()).cleared, []);
    });
  }

  test('an armed migration without a readable request or journal holds every guest of its host', async (t) => {
    const { b, as } = await armed(t, (file) => rmSync(file), true);
    await assertHeld(b);
    await assert.rejects(b.api.migrate({ body: { guest: 'web2', to: 'a' } }), damaged);
    const a = await as('a', 'agent', b);
    assert.deepEqual(await openMoves(a), [id]);
    // An answer that nothing is here would let the source continue the guest.
    await assert.rejects(a.incoming({ params: { id } }), damaged);
    assert.deepEqual((await b.api.clearLeftovers()).cleared, []);
  });
});

describe('godwit resolve with a damaged request', () => {
  const params = { id };
  const asked = { runAt: 'source', confirm: 'web1', iKnow: true } as const;

  for (const [what, damage] of DAMAGES) {
    test(`a resolve of a migration whose request ${what} shows the journal and every doubt, and no answer is safe`, async (t) => {
      const { b } = await armed(t, damage);
      const known = await b.api.resolution({ params });
      const { here, answers, inDoubt, safe } = known;
      assert.deepEqual([here.phase, here.right, here.side], ['held', 'armed', 'destination']);
      assert.deepEqual([known.guest, known.from, known.to], ['web1', 'a', 'b']);
      assert.deepEqual(
        answers.map(({ runAt, verdict }) => [runAt, verdict]),
        [
          ['source', 'risky'],
          ['destination', 'risky'],
          ['elsewhere', 'risky'],
        ],
      );
      assert.equal(safe, undefined);
      const own = inDoubt?.find(({ host }) => host === 'b')?.doubts;
      assert.deepEqual(own, ['damaged request', 'copy incoming', `migration ${id}`]);
      assert.deepEqual(inDoubt?.find(({ host }) => host === 'a')?.doubts, ['no answer']);
      await assertHeld(b);
    });
  }

  test("a resolve needs the operator's confirmation of each doubt that was shown", async (t) => {
    const { b } = await armed(t, (file) => rmSync(file));
    const { inDoubt = [] } = await b.api.resolution({ params });
    const order = (body: object) => b.api.resolve({ params, body: { ...asked, ...body } });
    await assert.rejects(order({ iKnow: false }), { code: 'GODWIT_RESOLVE_UNPROVED' });
    await assert.rejects(order({ confirm: 'web2', answersFor: inDoubt }), { code: 'GODWIT_USAGE' });
    for (const left of inDoubt) {
      const answersFor = inDoubt.filter((each) => each !== left);
      await assert.rejects(order({ answersFor }), { code: 'GODWIT_RESOLVE_REFUSED' });
    }
    await assertHeld(b);
  });

  test('a confirmed resolve sets the record aside: nothing is started, and the id stays used', async (t) => {
    const { b } = await armed(t, (file) => rmSync(file));
    const { inDoubt } = await b.api.resolution({ params });
    const answer = await b.api.resolve({ params, body: { ...asked, answersFor: inDoubt } });
    assert.deepEqual([answer.proof, answer.setAside], ['operator', true]);
    const { api, movers, config } = await b.again();
    assert.deepEqual((await api.migrations()).migrations, []);
    assert.deepEqual(movers.started, []);
    const kept = path.join(config.stateDir, 'migrations-set-aside', id);
    assert.match(readFileSync(path.join(kept, 'journal-destination.jsonl'), 'utf8'), /armed/);
    await assert.rejects(api.putMigration({ params, body: { guest: 'web2', to: 'a' } }), {
      code: 'GODWIT_ID_REUSED',
    });
  });

  test('a resolve gets an answer even if the journal cannot be read and no record names the guest', async (t) => {
    const { b } = await armed(t, (file) => rmSync(file), true);
    const { guest: shown, here, inDoubt } = await b.api.resolution({ params });
    assert.deepEqual([shown, here.hypervisor, here.unsure], ['unknown', 'unknown', true]);
    const own = inDoubt?.find(({ host }) => host === 'b')?.doubts;
    assert.deepEqual(own?.slice(0, 2), ['damaged request', 'unknown guest']);
    const body = { ...asked, confirm: shown, answersFor: inDoubt };
    assert.equal((await b.api.resolve({ params, body })).setAside, true);
    assert.deepEqual((await b.api.migrations()).migrations, []);
  });
});

test('a source whose request is damaged is held with the names that its journal has', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { peers });
  const dir = path.join(a.config.stateDir, 'migrations', id);
  const store = new MigrationStore(a.config.stateDir, 'a', systemClock);
  const admission = admissionOf(plan);
  store.add({
    version: 1,
    id,
    side: 'destination',
    fromHost: 'b',
    toHost: 'a',
    createdAt: '2026-11-24T10:00:00.000Z',
    peer: { name: 'b', address: '127.0.0.1:1' },
    admission,
  });
  const { journal } = openSourceJournal(dir, systemClock);
  await journal.append(plan, 'sync');
  await journal.close();
  rmSync(path.join(dir, 'request.json'));
  const { api } = await a.again();
  const found = (await api.migrations()).migrations.find((each) => each.id === id);
  assert.deepEqual([found?.guest, found?.from, found?.to], [plan.guest, plan.from, plan.to]);
});

test("a directory without a mover's record is not a migration", async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { peers });
  const store = new MigrationStore(a.config.stateDir, 'a', systemClock);
  const { dir } = store.add({
    version: 1,
    id,
    side: 'destination',
    fromHost: 'b',
    toHost: 'a',
    createdAt: '2026-11-24T10:00:00.000Z',
    peer: { name: 'b', address: '127.0.0.1:1' },
    admission: admissionOf(plan),
  });
  rmSync(path.join(dir, 'request.json'));
  assert.deepEqual((await (await a.again()).api.migrations()).migrations, []);
});
