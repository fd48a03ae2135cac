import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { GuestInfo } from '../../../src/protocol/public/host.ts';
import { eachOnce } from '../../../src/protocol/public/moving.ts';
import { guest, ID } from '../../cli/fake.ts';

type RunsAt = NonNullable<GuestInfo['moving']>['runsAt'];

function end(host: string, runsAt: RunsAt): GuestInfo {
  return guest('web1', host, {
    state: 'migrating',
    migration: ID,
    moving: { from: 'a', to: 'b', runsAt },
  });
}

describe('a guest that moves, of which two hosts report', () => {
  for (const [source, destination, runsAt, host] of [
    ['source', 'source', 'source', 'a'],
    ['source', 'unknown', 'source', 'a'],
    ['unknown', 'unknown', 'unknown', 'a'],
    ['unknown', 'destination', 'destination', 'b'],
    ['destination', 'destination', 'destination', 'b'],
  ] as const) {
    test(`is one, run by ${runsAt}, where they say ${source} and ${destination}`, () => {
      for (const rows of [
        [end('a', source), end('b', destination)],
        [end('b', destination), end('a', source)],
      ]) {
        const [one, ...others] = eachOnce(rows);
        assert.deepEqual([one?.host, one?.moving?.runsAt, others], [host, runsAt, []]);
      }
    });
  }

  test('stands under its source where its destination alone answers and does not run it', () => {
    const [one] = eachOnce([end('b', 'source')]);
    assert.deepEqual([one?.host, one?.moving?.runsAt], ['a', 'source']);
  });
});

test('guests that do not move stay as they are, also with one name', () => {
  const some = fc.record({ name: fc.constantFrom('x', 'y'), host: fc.constantFrom('a', 'b') });
  fc.assert(
    fc.property(fc.array(some, { maxLength: 8 }), (all) => {
      const guests = all.map(({ name, host }) => guest(name, host));
      assert.deepEqual(eachOnce(guests), guests);
    }),
  );
});
