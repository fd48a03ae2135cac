import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { order, orderOf, orderQuery } from '../../../src/protocol/public/order.ts';
import { z } from 'zod';

test('an order is whole, absent, or said to be incomplete', () => {
  assert.equal(orderOf({}), undefined);
  assert.equal(orderOf({ wish: 'w-00000001' }), 'incomplete');
  assert.equal(orderOf({ epoch: '3' }), 'incomplete');
  assert.deepEqual(orderOf({ wish: 'w-00000001', epoch: '3' }), { wish: 'w-00000001', epoch: 3 });
});

test('whatever a request names, an order that is read is one of the contract', () => {
  const query = z.object(orderQuery);
  const wishes = fc.oneof(fc.string(), fc.stringMatching(/^w-[0-9a-z]{8,32}$/));
  const epochs = fc.oneof(fc.string(), fc.stringMatching(/^[0-9]{1,15}$/));
  let taken = 0;
  fc.assert(
    fc.property(wishes, epochs, (wish, epoch) => {
      const read = query.safeParse({ wish, epoch });
      if (!read.success) return;
      taken += 1;
      assert.ok(order.safeParse(orderOf(read.data)).success);
    }),
  );
  assert.ok(taken > 0);
});
