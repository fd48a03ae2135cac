import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Incoming, type IncomingDependencies } from '../../../src/agent/migrations/incoming.ts';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { openDestinationJournal } from '../../../src/host/journal/journal.ts';
import { ADMISSION, RECORDS } from '../../model/events.ts';
import { WIRE_VERSION } from '../../../src/protocol/wire.ts';
import { fleet, GIB, guest } from '../samples.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';

const peers = { a: { address: '127.0.0.1:1' }, c: { address: '127.0.0.1:2' } };
const admission = admissionOf({ memoryBytes: GIB, timeoutMs: 600_000 });

test('a guest is admitted with its own mover, and a repeated request changes nothing', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const api = await as('a', 'agent', b);
  const admitted = await api.admit({ body: admission });
  const { wire, host: own, ...rest } = admitted;
  assert.equal(own?.name, 'b');
  assert.deepEqual(rest, { moverAddress: '127.0.0.1:50000', version: 1 });
  assert.equal(wire?.version, WIRE_VERSION);
  assert.equal(wire?.knowsGuest, false);
  const again = await api.admit({ body: admission });
  // How busy the host is by now may differ.
  assert.deepEqual({ ...again, host: own, wire }, admitted);
  assert.deepEqual(b.movers.started, [admission.id]);
  const { migrations } = await b.api.migrations();
  assert.equal(migrations[0]?.side, 'destination');
  assert.equal(migrations[0]?.moverAlive, true);
});

test('the same id for another guest is refused', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const api = await as('a', 'agent', b);
  await api.admit({ body: admission });
  const other = api.admit({ body: { ...admission, guest: 'web2' } });
  await assert.rejects(other, { code: 'GODWIT_ID_REUSED' });
});

test('an admission that comes after its source was told that there is none starts nothing', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const api = await as('a', 'agent', b);
  const asked = api.incoming({ params: { id: admission.id } });
  await assert.rejects(asked, { code: 'GODWIT_MIGRATION_UNKNOWN' });
  await assert.rejects(api.admit({ body: admission }), { code: 'GODWIT_MIGRATION_UNKNOWN' });
  assert.deepEqual(b.movers.started, []);
});

test('a host whose id another host has taken is told that its migration is not here', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const [own, other] = [await as('a', 'agent', b), await as('c', 'agent', b)];
  await other.admit({ body: admissionOf({ id: admission.id, from: 'c', memoryBytes: 1 }) });
  await assert.rejects(own.admit({ body: admission }), { code: 'GODWIT_ID_REUSED' });
  const asked = { params: { id: admission.id } };
  await assert.rejects(own.incoming(asked), { code: 'GODWIT_MIGRATION_UNKNOWN' });
  // Its own goes on, and under another id the guest comes.
  assert.ok(await other.incoming(asked));
  assert.ok(await own.admit({ body: { ...admission, id: 'm-another1', guest: 'web2' } }));
});

test('a host acts only for itself', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const [own, other] = [await as('a', 'agent', b), await as('c', 'agent', b)];
  await assert.rejects(other.admit({ body: admission }), { code: 'GODWIT_ROLE_FORBIDDEN' });
  await own.admit({ body: admission });
  const id = admission.id;
  await assert.rejects(other.incoming({ params: { id } }), { code: 'GODWIT_MIGRATION_UNKNOWN' });
  assert.equal((await own.incoming({ params: { id } })).moverAddress, '127.0.0.1:50000');
  const operator = await as('someone', 'operator', b);
  await assert.rejects(operator.admit({ body: admission }), { code: 'GODWIT_ROLE_FORBIDDEN' });
  await assert.rejects(b.api.admit({ body: admission }), { code: 'GODWIT_ROLE_FORBIDDEN' });
});

test('a host that is not among the peers is refused, with the hint', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const stranger = await as('z', 'agent', b);
  const call = stranger.admit({ body: { ...admission, from: 'z' } });
  await assert.rejects(call, { code: 'GODWIT_NOT_A_MEMBER', hint: /to `peers` .* of b/ });
});

test('a name that is in use or on its way here is refused', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers, guests: () => [guest('db1')] });
  const [a, c] = [await as('a', 'agent', b), await as('c', 'agent', b)];
  const used = a.admit({ body: { ...admission, guest: 'db1' } });
  await assert.rejects(used, {
    code: 'GODWIT_NAME_IN_USE',
    message: 'b already has a guest called db1',
  });
  await a.admit({ body: admission });
  const second = c.admit({ body: { ...admission, id: 'm-00000002', from: 'c' } });
  await assert.rejects(second, { code: 'GODWIT_NAME_IN_USE' });
});

test('memory that expected guests will take is not promised twice', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', {
    peers,
    availableBytes: 3 * GIB,
    limits: { memoryReserveBytes: GIB / 2 },
  });
  const api = await as('a', 'agent', b);
  await api.admit({ body: { ...admission, memoryBytes: 2 * GIB } });
  const next = { ...admission, id: 'm-00000002', guest: 'web2' };
  await assert.rejects(api.admit({ body: next }), {
    code: 'GODWIT_MEMORY_SHORT',
    facts: { host: 'b', guest: 'web2', availableBytes: GIB / 2, neededBytes: GIB },
  });
  await api.admit({ body: { ...next, memoryBytes: GIB / 2 } });
});

test('the number of guests that arrive at once is limited', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers, limits: { migrationsIn: 1 } });
  const api = await as('a', 'agent', b);
  await api.admit({ body: admission });
  const second = api.admit({ body: { ...admission, id: 'm-00000002', guest: 'web2' } });
  await assert.rejects(second, { code: 'GODWIT_OVERLOADED', retryable: true });
});

test('one of several hosts never gets all arrival places', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const [greedy, other] = [await as('a', 'agent', b), await as('c', 'agent', b)];
  const each = (from: string, at: number) => ({
    body: {
      ...admission,
      id: `m-${from}000000${at}`,
      guest: `web-${from}${at}`,
      from,
      memoryBytes: 1,
    },
  });
  for (let at = 0; at < 6; at += 1) await greedy.admit(each('a', at));
  await assert.rejects(greedy.admit(each('a', 6)), {
    code: 'GODWIT_OVERLOADED',
    message: 'b, in migrations from a to it at once, is at its limit of 6',
    hint: /limits\.migrationsInFromOne/,
  });
  assert.ok((await other.admit(each('c', 0))).moverAddress);
  const alone = await host('d', { peers, limits: { migrationsInFromOne: 1 } });
  const toAlone = await as('a', 'agent', alone);
  await toAlone.admit(each('a', 0));
  await assert.rejects(toAlone.admit(each('a', 1)), { code: 'GODWIT_OVERLOADED' });
});

test("one host's requests never push out an answer that another host was given", async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const [own, greedy] = [await as('a', 'agent', b), await as('c', 'agent', b)];
  const unknown = { code: 'GODWIT_MIGRATION_UNKNOWN' };
  await assert.rejects(own.incoming({ params: { id: admission.id } }), unknown);
  for (let round = 0; round < 44; round += 1) {
    await Promise.all(
      Array.from({ length: 25 }, async (_none, at) => {
        const id = `m-${String(round * 25 + at + 1000).padStart(8, '0')}`;
        await assert.rejects(greedy.incoming({ params: { id } }), unknown);
      }),
    );
  }
  await assert.rejects(own.admit({ body: admission }), unknown);
});

test('a host with a request to watch a guest gets the admitted guest', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const [a, c] = [await as('a', 'agent', b), await as('c', 'agent', b)];
  const asked = { params: { id: admission.id } };
  await assert.rejects(c.admittedGuest(asked), { code: 'GODWIT_MIGRATION_UNKNOWN' });
  await a.admit({ body: admission });
  assert.deepEqual(await c.admittedGuest(asked), { guest: 'web1', from: 'a' });
  const operator = await as('someone', 'operator', b);
  await assert.rejects(operator.admittedGuest(asked), { code: 'GODWIT_ROLE_FORBIDDEN' });
});

test('a dead mover is started again when a caller asks for its port', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const api = await as('a', 'agent', b);
  await api.admit({ body: admission });
  await b.movers.end(admission.id);
  await api.incoming({ params: { id: admission.id } });
  assert.equal(b.movers.started.length, 2);
});

test('an unknown incoming migration is reported as unknown', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const api = await as('a', 'agent', b);
  const call = api.incoming({ params: { id: 'm-zzzzzzzz' } });
  await assert.rejects(call, { code: 'GODWIT_MIGRATION_UNKNOWN' });
});

/** Ended migrations from host a, of which it has not heard the end. */
async function unheard(stateDir: string, count: number): Promise<void> {
  const store = new MigrationStore(stateDir, 'b', systemClock);
  for (let at = 1; at <= count; at += 1) {
    const id = `m-${String(at).padStart(8, '0')}`;
    const own = { ...ADMISSION, id };
    const { dir } = store.add({
      version: 1,
      id,
      side: 'destination',
      fromHost: 'a',
      toHost: 'b',
      peer: { name: 'a', address: '127.0.0.1:1' },
      createdAt: new Date(at * 1000).toISOString(),
      admission: own,
    });
    const { journal } = openDestinationJournal(dir, systemClock);
    journal.write({ type: 'admitted', admission: own, host: 'b' });
    for (const name of ['preparing', 'prepared', 'armed0', 'refused'] as const)
      journal.write(RECORDS[name]);
    journal.write({ type: 'released', told: false });
    await journal.close();
  }
}

test('a host that never learns how 64 of its migrations ended sends no more guests, and other hosts do', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  await unheard(b.config.stateDir, 64);
  const after = await b.again();
  const [own, other] = [await as('a', 'agent', after), await as('c', 'agent', after)];
  const next = { ...admission, id: 'm-99999999', guest: 'web2' };
  await assert.rejects(own.admit({ body: next }), {
    code: 'GODWIT_OVERLOADED',
    message:
      'b, in ended migrations from a of which it has not heard the end, is at its limit of 64',
  });
  assert.ok((await other.admit({ body: { ...next, id: 'm-99999998', from: 'c' } })).moverAddress);
});

test('a host at that limit is asked about its oldest migrations, and the ones that ended there no longer count', async () => {
  const heard: string[] = [];
  const views: Record<string, object> = {
    'm-1': { view: { epoch: admission.epoch, phase: 'failed' } },
    'm-2': { view: { epoch: admission.epoch, phase: 'held' } },
    'm-3': { view: { epoch: admission.epoch + 1, phase: 'failed' } },
    'm-4': { unreachable: 'it is off', isDark: true },
    // Its agent may run without its state.
    'm-5': { unreachable: 'a does not know m-5', isDark: false },
  };
  const ids = Array.from({ length: 64 }, (_none, at) => `m-${at + 1}`);
  const asked: string[] = [];
  const deps = {
    store: {
      unheard: () => ids.map((id) => ({ id, request: { side: 'destination', admission } })),
      heard: (id: string) => heard.push(id),
      get: () => undefined,
      mustBeNew: () => {
        throw new Error('asked before');
      },
    },
    peers: {
      side: async (_host: string, id: string) => {
        asked.push(id);
        return views[id] ?? views['m-4'];
      },
    },
  };
  const caller = { role: 'agent', name: 'a' } as Parameters<Incoming['admit']>[1];
  const incoming = new Incoming(deps as unknown as IncomingDependencies);
  await assert.rejects(incoming.admit(admission, caller), /asked before/);
  assert.deepEqual([asked.length, heard], [8, ['m-1']]);
  ids.pop();
  await assert.rejects(incoming.admit(admission, caller), /asked before/);
  assert.equal(asked.length, 8);
});
