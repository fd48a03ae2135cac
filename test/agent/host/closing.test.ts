import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Closings, closingHandlers } from '../../../src/agent/host/closing.ts';
import { silentLog } from '../../../src/log.ts';
import { MAX_CLOSED_MS } from '../../../src/protocol/public/closing.ts';
import { admissionOf } from '../../protocol/peer/admission.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fleet, GIB, guest } from '../samples.ts';

const peers = { a: { address: '127.0.0.1:1' } };
const admission = admissionOf({ memoryBytes: GIB, timeoutMs: 600_000 });
const params = { host: 'b' };
const closed = { params, body: { request: 'r-00000001', forMs: 60_000 } };

test('a closed host refuses a guest that no controller sends, and admits it once it is open again', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const [controller, a] = [await as('control', 'controller', b), await as('a', 'agent', b)];
  await controller.closeHost(closed);
  await assert.rejects(a.admit({ body: admission }), { code: 'GODWIT_HOST_CLOSED' });
  assert.deepEqual(b.movers.started, []);
  // Another request has not closed it, and does not open it.
  await controller.openHost({ params, query: { request: 'r-00000002' } });
  await assert.rejects(a.admit({ body: admission }), { code: 'GODWIT_HOST_CLOSED' });
  await controller.openHost({ params, query: { request: 'r-00000001' } });
  await a.admit({ body: admission });
});

test('a host with an admitted guest does not report itself empty before the guest is listed', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers });
  const [controller, a] = [await as('control', 'controller', b), await as('a', 'agent', b)];
  const nothing = { guests: [], underWay: [] };
  assert.deepEqual(await controller.occupancy({ params }), nothing);
  await a.admit({ body: admission });
  await controller.closeHost(closed);
  const { guests, underWay } = await controller.occupancy({ params });
  assert.deepEqual(guests, []);
  assert.deepEqual(underWay, [
    { guest: admission.guest, migration: admission.id, from: 'a', to: 'b' },
  ]);
  const other = controller.occupancy({ params: { host: 'c' } });
  await assert.rejects(other, { code: 'GODWIT_HOST_UNKNOWN' });
});

test('a host is looked at for the answer: an unexpected guest there is reported', async (t) => {
  const { host, as } = await fleet(t);
  let there = [guest('web1', { host: 'b' })];
  const b = await host('b', { peers, guests: () => there });
  const controller = await as('control', 'controller', b);
  const all = await controller.occupancy({ params });
  assert.deepEqual(all.guests, ['web1']);
  there = [];
  assert.deepEqual((await controller.occupancy({ params })).guests, []);
});

test('a silent driver means that an empty host is not certain', async () => {
  const { occupancy } = closingHandlers({
    config: { name: 'b' },
    guests: {
      listed: () => assert.fail('the host is this one'),
      seenNow: () => Promise.reject(new Error('the driver does not answer')),
    },
    store: {
      all: () => [],
      progress: () => assert.fail('there is none'),
      runsAt: () => assert.fail('there is none'),
    },
    closings: new Closings({ stateDir: '/nonexistent' }, { wallMs: () => 0, monotonicMs: () => 0 }),
    expected: { underWay: () => [] },
    log: silentLog,
  });
  await assert.rejects(async () => occupancy({ params } as never), /does not answer/);
});

test('a host stays closed over a restart for the full time, whatever its wall clock shows, and opens by itself', (t) => {
  const stateDir = tempDir(t);
  const time = { wall: 1_800_000_000_000, now: 5000 };
  const clock = { wallMs: () => time.wall, monotonicMs: () => time.now };
  new Closings({ stateDir }, clock).close('b', 'r-00000001', 60_000);
  // The host was restarted: its clock is not set yet, and is set later.
  time.now = 0;
  time.wall -= 86_400_000;
  const again = new Closings({ stateDir }, clock);
  assert.equal(again.requestFor('b'), 'r-00000001');
  assert.equal(again.requestFor('c'), undefined);
  time.wall += 2 * 86_400_000;
  time.now = MAX_CLOSED_MS - 1;
  assert.equal(again.requestFor('b'), 'r-00000001');
  time.now += 1;
  assert.equal(again.requestFor('b'), undefined);
  // It was open when the agent ended, and is open after a restart.
  assert.equal(new Closings({ stateDir }, clock).requestFor('b'), undefined);
  again.close('b', 'r-00000001', 2 * MAX_CLOSED_MS);
  time.now += MAX_CLOSED_MS;
  assert.equal(again.requestFor('b'), undefined);
  writeFileSync(path.join(stateDir, 'closed.json'), '{"version":1,"clo');
  assert.equal(new Closings({ stateDir }, clock).requestFor('b'), undefined);
});
