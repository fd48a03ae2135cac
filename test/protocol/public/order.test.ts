import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { order, orderOf, orderQuery } from '../../../src/protocol/public/order.ts';
import { z } from 'zod';

test('an order is complete, absent, or marked as incomplete', () => {
  assert.equal(orderOf({}), undefined);
  assert.equal(orderOf({ order: 'r-00000001' }), 'incomplete');
  assert.equal(orderOf({ epoch: '3' }), 'incomplete');
  assert.deepEqual(orderOf({ order: 'r-00000001', epoch: '3' }), {
    request: 'r-00000001',
    epoch: 3,
  });
});

test('an order that is read fits the contract, whatever the request contains', () => {
  const query = z.object(orderQuery);
  const requests = fc.oneof(fc.string(), fc.stringMatching(/^r-[0-9a-z]{8,32}$/));
  const epochs = fc.oneof(fc.string(), fc.stringMatching(/^[0-9]{1,15}$/));
  let taken = 0;
  fc.assert(
    fc.property(requests, epochs, (request, epoch) => {
      const read = query.safeParse({ order: request, epoch });
      if (!read.success) return;
      taken += 1;
      assert.ok(order.safeParse(orderOf(read.data)).success);
    }),
  );
  assert.ok(taken > 0);
});
