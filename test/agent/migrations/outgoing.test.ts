import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { Guests } from '../../../src/agent/guests/guests.ts';
import { Outgoing } from '../../../src/agent/migrations/outgoing.ts';
import type { Peers } from '../../../src/agent/peers.ts';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import type { Supervisor } from '../../../src/agent/processes/supervision.ts';
import { systemClock } from '../../../src/clock.ts';
import type { DiscoveredGuest } from '../../../src/port/inventory.ts';
import { godwitError, hasCode } from '../../../src/errors.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import { textOf } from '../../host/journals.ts';
import { journalFile, moverRequest } from '../../../src/protocol/mover/request.ts';
import { settle } from '../../migration/direct/drive.ts';
import { World } from '../../migration/direct/world.ts';
import { until } from '../../until.ts';
import { fleet, guest } from '../samples.ts';

const peers = { b: { address: '127.0.0.1:1' }, bravo: { address: '127.0.0.1:2' } };

test('a migration gets an id, a private directory, a request for its mover, and the mover', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b', mode: 'precopy' } });
  assert.match(id, /^m-[0-9a-z]{8,}$/);
  assert.deepEqual(a.movers.started, [id]);
  const dir = path.join(a.config.stateDir, 'migrations', id);
  assert.equal(statSync(dir).mode & 0o777, 0o700);
  assert.equal(statSync(path.join(dir, 'request.json')).mode & 0o777, 0o600);
  const written = JSON.parse(readFileSync(path.join(dir, 'request.json'), 'utf8'));
  const request = moverRequest.parse(written);
  assert.ok(request.side === 'source' && request.version === 1);
  assert.equal(request.handle.name, 'web1');
  assert.equal(request.request.mode, 'precopy');
  assert.deepEqual(request.peer, { name: 'b', address: '127.0.0.1:1' });
});

test("a migration that the guest's driver does not declare is refused at once, and nothing begins", async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  for (const asked of [{ mode: 'postcopy' }, { compress: 'zstd' }, { streams: 2 }] as const) {
    await assert.rejects(a.api.migrate({ body: { guest: 'web1', to: 'b', ...asked } }), {
      code: 'GODWIT_CAPABILITY',
    });
  }
  assert.deepEqual(a.movers.started, []);
});

test('a mover gets further addresses: the requested ones, or the configured ones', async (t) => {
  const { host } = await fleet(t);
  const known = { b: { address: '127.0.0.1:1', addresses: ['127.0.0.2:3', '127.0.0.1:1'] } };
  const names = ['web1', 'web2', 'web3'];
  const left = [...names];
  const a = await host('a', { guests: () => names.map((name) => guest(name)), peers: known });
  const reported = async (asked: object): Promise<unknown> => {
    const { id } = await a.api.migrate({ body: { guest: left.pop() ?? '', to: 'b', ...asked } });
    const file = path.join(a.config.stateDir, 'migrations', id, 'request.json');
    return JSON.parse(readFileSync(file, 'utf8')).peer.addresses;
  };
  assert.deepEqual(await reported({}), ['127.0.0.2:3']);
  assert.deepEqual(await reported({ pathAddresses: ['10.1.0.2', '[fd00::2]:9', '10.1.0.2:1'] }), [
    '10.1.0.2:1',
    '[fd00::2]:9',
  ]);
  assert.equal(await reported({ pathAddresses: [] }), undefined);
});

test('a mover gets the link rate that earlier migrations saw', async (t) => {
  const { host } = await fleet(t);
  const names = ['web1', 'web2', 'web3'];
  const a = await host('a', { guests: () => names.map((name) => guest(name)), peers });
  const asked = async (body: object): Promise<{ dir: string; rate: number | undefined }> => {
    const { id } = await a.api.migrate({ body: { guest: names[0] ?? '', to: 'b', ...body } });
    const dir = path.join(a.config.stateDir, 'migrations', id);
    const request = JSON.parse(readFileSync(path.join(dir, 'request.json'), 'utf8'));
    return { dir, rate: request.link?.rate };
  };
  const first = await asked({ path: 'auto' });
  assert.equal(first.rate, undefined);
  const world = new World();
  settle(world);
  assert.equal(world.outcome, 'done');
  const records = world.journal.map((event, seq) => {
    return { v: 1, seq, at: 1000 + seq * 100, mono: seq * 100, event };
  });
  writeFileSync(path.join(first.dir, journalFile('source')), textOf(records));
  const { throughput = 0 } = await a.api.report({ params: { id: path.basename(first.dir) } });
  assert.ok(throughput > 0);
  assert.equal((await asked({ guest: 'web2', path: 'auto' })).rate, throughput);
  assert.equal((await asked({ guest: 'web3' })).rate, throughput);
});

test('a repeated request with the same id is the same migration, and another request is refused', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1'), guest('web2')], peers });
  const body = { id: 'm-00000001', guest: 'web1', to: 'b' };
  await a.api.migrate({ body });
  assert.deepEqual(await a.api.migrate({ body }), { id: 'm-00000001' });
  assert.equal(a.movers.started.length, 1);
  const other = a.api.migrate({ body: { ...body, guest: 'web2' } });
  await assert.rejects(other, { code: 'GODWIT_ID_REUSED' });
});

test('a migrating guest is refused with the migration, its goal and its phase', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  await assert.rejects(a.api.migrate({ body: { guest: 'web1', to: 'bravo' } }), {
    code: 'GODWIT_GUEST_BUSY',
    message: `web1 is already migrating: ${id}, to b, in phase checking`,
  });
});

test('two callers that ask at once for one guest get one migration', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const asked = ['b', 'bravo'].map((to) => a.api.migrate({ body: { guest: 'web1', to } }));
  const results = await Promise.allSettled(asked);
  assert.deepEqual(results.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
});

test('unknown names are refused with the nearest known one', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  await assert.rejects(a.api.migrate({ body: { guest: 'wbe1', to: 'b' } }), (error) => {
    assert.ok(hasCode(error, 'GODWIT_GUEST_UNKNOWN'));
    assert.match(error.hint, /web1/);
    return true;
  });
  await assert.rejects(a.api.migrate({ body: { guest: 'web1', to: 'brvao' } }), (error) => {
    assert.ok(hasCode(error, 'GODWIT_HOST_UNKNOWN'));
    assert.match(error.hint, /bravo/);
    return true;
  });
});

test('a migration that is not possible is refused before anything is created', async (t) => {
  const { host } = await fleet(t);
  const guests = [
    guest('managed', { manager: 'libvirt' }, false),
    guest('paused', { state: 'paused' }),
    guest('unheld', {}, false),
    guest('web1'),
  ];
  const a = await host('a', { guests: () => guests, peers });
  const code = async (name: string, to = 'b', more: object = {}): Promise<string> =>
    a.api.migrate({ body: { guest: name, to, ...more } }).then(
      () => 'started',
      (error: { code: string }) => error.code,
    );
  assert.equal(await code('managed'), 'GODWIT_GUEST_MANAGED');
  assert.equal(await code('paused'), 'GODWIT_GUEST_STATE');
  assert.equal(await code('unheld'), 'GODWIT_CAPABILITY');
  assert.equal(await code('web1', 'a'), 'GODWIT_SAME_HOST');
  assert.equal(await code('web1', 'a', { datastore: 'fast' }), 'GODWIT_SAME_HOST');
  assert.deepEqual(readdirSync(path.join(a.config.stateDir, 'migrations')), []);
});

test('a guest whose manager has datastores moves to another datastore of its host, and only to that host', async (t) => {
  const { host } = await fleet(t);
  const capabilities = {
    shape: 'managed',
    modes: ['precopy'],
    compression: ['none'],
    maxStreams: 1,
    postcopyRecovery: false,
    datastores: true,
  } as const;
  const a = await host('a', {
    guests: () => [guest('web1')],
    driver: { capabilities: capabilities as never },
  });
  await assert.rejects(a.api.migrate({ body: { guest: 'web1', to: 'a' } }), {
    code: 'GODWIT_SAME_HOST',
  });
  const body = { guest: 'web1', to: 'a', datastore: String.raw`D:\VMs` };
  const { id } = await a.api.migrate({ body });
  const file = path.join(a.config.stateDir, 'migrations', id, 'request.json');
  const request = moverRequest.parse(JSON.parse(readFileSync(file, 'utf8')));
  assert.deepEqual([request.version, request.fromHost, request.toHost], [2, 'a', 'a']);
});

test('the number of migrations that leave at once is limited', async (t) => {
  const { host } = await fleet(t);
  const guests = () => [guest('web1'), guest('web2')];
  const a = await host('a', { guests, peers, limits: { migrationsOut: 1 } });
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  const second = () => a.api.migrate({ body: { guest: 'web2', to: 'b' } });
  await assert.rejects(second, { code: 'GODWIT_OVERLOADED' });
  await a.movers.fail(id);
  await second();
});

test('a mover that does not start leaves nothing behind, and the caller gets the reason', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  a.movers.failNext = godwitError('GODWIT_INTERNAL', { what: 'no memory for a mover' });
  const started = () => a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  await assert.rejects(started, { message: 'no memory for a mover' });
  assert.deepEqual((await a.api.migrations()).migrations, []);
  await started();
});

test('a migration whose first mover dies right after its first record continues, and is not refused', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  a.movers.dieNext = true;
  const { id } = await a.api.migrate({ body: { guest: 'web1', to: 'b' } });
  await until('another mover', 10_000, async () =>
    a.movers.started.length > 1 ? true : undefined,
  );
  assert.deepEqual(a.movers.started, [id, id]);
});

test('a guest that changes its state while it is looked up is not migrated', async (t) => {
  const { host } = await fleet(t);
  const a = await host('a', { guests: () => [guest('web1')], peers });
  const store = new MigrationStore(path.join(a.config.stateDir, 'other'), 'a', systemClock);
  const moving = { id: 'd-00000001', device: 'disk0' };
  const admission = { guest: 'web1', from: 'b', memoryBytes: 1, epoch: 1, timeoutMs: 1000 };
  const begins = {
    'a disk’s move': () => void (disk = moving),
    'a migration': () => {
      const id = 'm-00000001';
      store.add({
        version: 1,
        id,
        side: 'destination',
        fromHost: 'b',
        toHost: 'a',
        peer: { name: 'b', address: '127.0.0.1:1' },
        createdAt: new Date(0).toISOString(),
        admission: { ...admission, id },
      });
    },
  };
  let disk: typeof moving | undefined;
  for (const [what, begin] of Object.entries(begins)) {
    disk = undefined;
    const need = async (): Promise<DiscoveredGuest> => {
      begin();
      return guest('web1');
    };
    const outgoing = new Outgoing({
      config: a.config,
      clock: systemClock,
      store,
      guests: { need, drivers: [] } as unknown as Guests,
      peers: { address: () => '127.0.0.1:1', furtherAddresses: () => [] } as unknown as Peers,
      supervisor: {} as unknown as Supervisor,
      diskMoves: { movingOf: () => disk },
    });
    const asked = migrationRequest.parse({ guest: 'web1', to: 'b' });
    const refused = (thrown: unknown) => hasCode(thrown, 'GODWIT_DISK_MOVING', 'GODWIT_GUEST_BUSY');
    await assert.rejects(outgoing.start(asked), refused, what);
    assert.ok(
      store.all().every(({ request }) => request.side === 'destination'),
      what,
    );
  }
});

test('a migration that is put under an id may be put again, and a dry run begins nothing', async (t) => {
  const { host } = await fleet(t);
  const peers = { b: { address: '127.0.0.1:1' } };
  const { api } = await host('a', { guests: () => [guest('web1')], peers });
  const put = (id: string, to: string, dryRun: 'true' | 'false') =>
    api.putMigration({ params: { id }, query: { dryRun }, body: { guest: 'web1', to } });
  const id = 'm-00000001';
  // As the migration would end: nobody answers there.
  await assert.rejects(put(id, 'b', 'true'), { code: 'GODWIT_UNREACHABLE' });
  await assert.rejects(put(id, 'nobody', 'true'), { code: 'GODWIT_HOST_UNKNOWN' });
  assert.deepEqual((await api.migrations()).migrations, []);
  assert.deepEqual(await put(id, 'b', 'false'), { id, started: true });
  assert.deepEqual(await put(id, 'b', 'false'), { id, started: true });
  assert.deepEqual(await put(id, 'b', 'true'), { id, started: false });
  await assert.rejects(put(id, 'c', 'false'), { code: 'GODWIT_ID_REUSED' });
  await assert.rejects(put('m-00000002', 'b', 'true'), { code: 'GODWIT_GUEST_BUSY' });
  assert.equal((await api.migrations()).migrations.length, 1);
  const nothing = { cleared: [], left: [] };
  assert.deepEqual(await api.deleteLeftovers({ query: { dryRun: 'true' } }), nothing);
});

test('a guest that is taken back is requested as it is, whatever its labels name', async () => {
  const asked = migrationRequest.parse({ guest: 'web1', to: 'b', unplug: ['gpu0'] });
  const labels = { 'godwit/unplug': 'hostdev0', 'godwit/plug': 'gpu0' };
  const known = { id: 'm-00000001', request: { side: 'source', request: asked } };
  const outgoing = new Outgoing({
    store: { get: () => known, isEnded: () => true },
    labels: { of: () => labels },
    supervisor: {},
  } as unknown as ConstructorParameters<typeof Outgoing>[0]);
  const begin = { ...asked, id: known.id };
  assert.equal(await outgoing.start(begin, { migration: 'm-00000000', why: 'ill' }), known.id);
  // On any other way its labels ask for more than that.
  await assert.rejects(outgoing.start(begin), { code: 'GODWIT_ID_REUSED' });
});
