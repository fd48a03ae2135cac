import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  FIRST_ROOM,
  ReceiveCredit,
  CreditPool,
} from '../../../../src/disks/copy/tunnel/flow-control.ts';

const MAX_BYTES = 64 * 1024 * 1024;
const MIB = 1024 * 1024;

test('a connection whose hypervisor accepts everything gets room for a long link', () => {
  const room = new ReceiveCredit(new CreditPool());
  let open = FIRST_ROOM;
  for (let round = 0; round < 40; round += 1) {
    const bytes = open;
    assert.ok(room.came(bytes));
    open = room.taken(bytes);
  }
  assert.equal(open, 16 * MIB);
});

test('a connection whose hypervisor is behind keeps its data', () => {
  const room = new ReceiveCredit(new CreditPool());
  assert.ok(room.came(FIRST_ROOM));
  assert.equal(room.taken(100), 100);
  assert.ok(room.came(100));
  assert.equal(room.came(1), false);
});

test('all connections together never hold more than the agreed amount, and ended ones return their room', () => {
  const step = fc.record({
    at: fc.nat(30),
    comes: fc.nat(4 * MIB),
    takes: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const pool = new CreditPool();
      const rooms = Array.from({ length: 31 }, () => ({
        room: new ReceiveCredit(pool),
        open: FIRST_ROOM,
      }));
      for (const { at, comes, takes } of steps) {
        const each = rooms[at]!;
        const bytes = Math.min(comes, each.open);
        assert.ok(each.room.came(bytes));
        each.open -= bytes;
        each.open += each.room.taken(Math.floor(each.room.heldBytes * takes));
        const may = rooms.reduce((sum, { room, open }) => sum + room.heldBytes + open, 0);
        assert.ok(may <= MAX_BYTES, `${may}`);
      }
      for (const { room } of rooms) room.end();
      assert.equal(pool.take(MAX_BYTES), 48 * MIB);
    }),
  );
});
