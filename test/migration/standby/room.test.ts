import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeRoom } from '../../../src/migration/standby/room.ts';

const room = { maxBytesOfOne: 60, maxBytes: 100 };

test('the named limit is the one that was reached', () => {
  const one = judgeRoom(61, new Map(), room);
  assert.deepEqual(one, { kind: 'none', whose: 'one', limit: 60 });
  const all = judgeRoom(60, new Map([['c', [50]]]), room);
  assert.deepEqual(all, { kind: 'none', whose: 'all', limit: 100 });
});

test('a host below its share takes the places of the largest one, and no host ends above the limits', () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 6 });
  const hosts = fc.dictionary(fc.constantFrom('c', 'd', 'e'), sizes);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 70 }), hosts, (own, given) => {
      const others = new Map(Object.entries(given));
      const judged = judgeRoom(own, others, room);
      const share = room.maxBytes / (others.size + 1);
      if (judged.kind === 'none') {
        assert.ok(own > (judged.whose === 'one' ? room.maxBytesOfOne : share));
        return;
      }
      const left = new Map([...others].map(([host, each]) => [host, [...each]]));
      for (const host of judged.victims) {
        const sum = (each: string) => (left.get(each) ?? []).reduce((all, size) => all + size, 0);
        assert.ok([...left.keys()].every((each) => sum(each) <= sum(host)));
        assert.ok(sum(host) >= share || own <= share);
        left.get(host)?.pop();
      }
      const total = own + [...left.values()].flat().reduce((all, size) => all + size, 0);
      assert.ok(total <= room.maxBytes);
    }),
  );
});
