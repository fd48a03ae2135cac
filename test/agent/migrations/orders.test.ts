import assert from 'node:assert/strict';
import { appendFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { orderFor, Orders } from '../../../src/agent/migrations/orders.ts';
import { hasCode } from '../../../src/errors.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { fleet, guest } from '../samples.ts';

const done = async (): Promise<string> => 'done';
const isStale = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_ORDER_STALE');

test('an order of a lower epoch is refused, even after a restart', async (t) => {
  const dir = tempDir(t);
  const request = 'r-00000001';
  const orders = new Orders(dir);
  assert.equal(await orders.under({ request, epoch: 5 }, 'm-00000001', done), 'done');
  assert.equal(await orders.under({ request, epoch: 5 }, 'm-00000001', done), 'done');
  for (const each of [orders, new Orders(dir)]) {
    await assert.rejects(each.under({ request, epoch: 4 }, 'm-00000002', done), isStale);
    assert.equal(await each.under({ request: 'r-00000002', epoch: 1 }, 'm-00000003', done), 'done');
    assert.equal(await each.under(undefined, 'm-00000003', done), 'done');
  }
});

test('the epoch of an agent is the highest of all epochs that it was ever ordered', async (t) => {
  const requests = fc.constantFrom('r-00000001', 'r-00000002', 'r-00000003');
  const all = fc.array(fc.tuple(requests, fc.integer({ min: 1, max: 9 }), fc.boolean()), {
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(all, async (asked) => {
      const dir = tempDir(t);
      let orders = new Orders(dir);
      const highest = new Map<string, number>();
      for (const [request, epoch, restart] of asked) {
        if (restart) orders = new Orders(dir);
        const before = highest.get(request) ?? 0;
        const taken = await orders
          .under({ request, epoch }, 'm-00000001', done)
          .catch(() => 'refused');
        assert.equal(taken, epoch < before ? 'refused' : 'done');
        highest.set(request, Math.max(before, epoch));
      }
    }),
    { numRuns: 30 },
  );
});

test('nothing begins behind a higher epoch that was answered', async (t) => {
  const orders = new Orders(tempDir(t));
  const request = 'r-00000001';
  const log: string[] = [];
  const asked = Promise.withResolvers<void>();
  const slow = orders.under({ request, epoch: 1 }, 'm-00000001', async () => {
    await asked.promise;
    log.push('begun under 1');
  });
  const cancel = orders.under({ request, epoch: 2 }, 'm-00000001', async () =>
    log.push('looked under 2'),
  );
  const late = orders.under({ request, epoch: 1 }, 'm-00000001', async () =>
    log.push('begun late'),
  );
  asked.resolve();
  await assert.rejects(late, isStale);
  await Promise.all([slow, cancel]);
  assert.deepEqual(log, ['begun under 1', 'looked under 2']);
});

test('a truncated line is left out, and the file stays bounded', async (t) => {
  const dir = tempDir(t);
  const file = path.join(dir, 'orders');
  const orders = new Orders(dir, 8);
  for (let nth = 1; nth <= 200; nth += 1) {
    const request = `r-${String(nth).padStart(8, '0')}`;
    await orders.under({ request, epoch: nth }, 'm-00000001', done);
  }
  assert.ok(statSync(file).size < 8 * 4 * 20);
  appendFileSync(file, '\nw-00000200 9');
  appendFileSync(file, '\nw-000');
  const again = new Orders(dir, 8);
  assert.equal(again.seen('r-00000200'), 200);
  assert.equal(again.seen('r-00000001'), 0);
  assert.equal(again.seen('r-00000195'), 195);
});

test('a request that is ordered again under its epoch is not forgotten in favor of abandoned requests', async (t) => {
  const orders = new Orders(tempDir(t), 8);
  const long = { request: 'r-99999999', epoch: 3 };
  for (let nth = 1; nth <= 20; nth += 1) {
    await orders.under(long, 'm-00000001', done);
    await orders.under({ request: `r-${10_000_000 + nth}`, epoch: 1 }, 'm-00000001', done);
    assert.equal(orders.seen(long.request), 3);
  }
});

test('an order of a controller names its request and epoch; other callers need no order', () => {
  const asks = { role: 'controller', name: 'one' } as const;
  assert.throws(() => orderFor({}, asks), /names its request/);
  const local = { role: 'local', name: 'a local process' } as const;
  assert.throws(() => orderFor({ order: 'r-00000001', epoch: '2' }, local), /only a controller/);
  assert.deepEqual(orderFor({ order: 'r-00000001', epoch: '2' }, local, true), {
    request: 'r-00000001',
    epoch: 2,
  });
  assert.equal(orderFor({}, local, true), undefined);
  assert.throws(() => orderFor({ order: 'r-00000001' }, { role: 'operator', name: 'eva' }));
  assert.equal(orderFor({}, { role: 'operator', name: 'eva' }), undefined);
  const foreign = { order: 'r-00000001', epoch: '999999' };
  assert.throws(() => orderFor(foreign, { role: 'operator', name: 'eva' }), /only a controller/);
  const order = { request: 'r-00000001', epoch: 2 };
  assert.deepEqual(orderFor({ order: order.request, epoch: '2' }, asks), order);
});

test('a move of a request is cancelled by a caller that names the request, and by no other', async (t) => {
  const { host, as } = await fleet(t);
  const b = await host('b', { peers: { a: { address: '127.0.0.1:1' } } });
  const a = await host('a', {
    peers: { b: { address: b.agent.address } },
    guests: () => [guest('web1')],
  });
  const controller = await as('control', 'controller', a);
  const params = { id: 'm-0123456789' };
  const request = 'r-00000001';
  const body = { guest: 'web1', to: 'b' };
  await controller.putMigration({ params, query: { order: request, epoch: '1' }, body });
  assert.equal((await a.api.migration({ params })).request, request);
  await assert.rejects(a.api.cancel({ params }), (thrown) => {
    assert.ok(hasCode(thrown, 'GODWIT_MIGRATION_OF_REQUEST'));
    return thrown.message.includes(request) && thrown.message.includes('web1');
  });
  const other = a.api.cancel({ params, query: { request: 'r-00000002' } });
  await assert.rejects(other, { code: 'GODWIT_MIGRATION_OF_REQUEST' });
  assert.equal((await a.api.cancel({ params, query: { request } })).accepted, true);
});
