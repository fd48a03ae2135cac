import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { staysOf } from '../../../src/controller/history/stays.ts';
import { guestStay, type FleetMigration } from '../../../src/protocol/controller/history.ts';

const at = (s: number): string => new Date(1e12 + s * 1000).toISOString();
const moved = (
  nth: number,
  [source, destination]: [string, string],
  more: Partial<FleetMigration> = {},
): FleetMigration => ({
  id: `m-0000000${nth}`,
  guest: 'web1',
  source,
  destination,
  mode: 'precopy',
  state: 'ended',
  outcome: 'done',
  startedAt: at(nth * 10),
  endedAt: at(nth * 10 + 5),
  ...more,
});

test('the story of a guest names each of its hosts, the time, the reason, and the attempts there', () => {
  const all = [
    moved(1, ['a', 'b'], { request: 'r-00000001', by: 'ann' }),
    moved(2, ['b', 'c'], { outcome: 'failed', words: 'the link broke' }),
    moved(3, ['b', 'c'], { outcome: 'rehearsed' }),
    moved(4, ['b', 'c']),
  ];
  const [onC, onB, onA] = staysOf(all, ['c']);
  assert.deepEqual(
    [onC?.host, onC?.from, onC?.to, onC?.migration],
    ['c', at(45), undefined, 'm-00000004'],
  );
  assert.deepEqual([onB?.host, onB?.from, onB?.to, onB?.by], ['b', at(15), at(45), 'ann']);
  assert.match(onB?.why ?? '', /m-00000001 brought it from a, for r-00000001/);
  assert.deepEqual(
    onB?.tries.map(({ migration, outcome, words }) => [migration, outcome, words]),
    [['m-00000002', 'failed', 'the link broke']],
  );
  assert.deepEqual([onA?.host, onA?.from, onA?.to], ['a', undefined, at(15)]);
});

test('a guest that turned up elsewhere without a migration has a stay without a migration', () => {
  const [onE, onD, onB] = staysOf([moved(1, ['a', 'b']), moved(2, ['d', 'e'])], ['e']);
  assert.deepEqual([onE?.host, onD?.host, onB?.host], ['e', 'd', 'b']);
  assert.equal(onD?.why, 'it came there by no migration that is kept');
  assert.equal(onB?.to, at(20));
  assert.equal(staysOf([], ['a'])[0]?.why, 'it was there before anything that is kept');
});

test('only the last stays are open, and each fits the contract, whatever the migrations are', () => {
  const hosts = fc.constantFrom('a', 'b', 'c');
  const each = fc.record({
    pair: fc.tuple(hosts, hosts),
    outcome: fc.constantFrom('done' as const, 'failed' as const, 'rehearsed' as const),
  });
  fc.assert(
    fc.property(fc.array(each, { maxLength: 9 }), fc.uniqueArray(hosts), (some, now) => {
      const all = some.map(({ pair, outcome }, nth) => moved(nth, pair, { outcome }));
      const stays = staysOf(all, now).map((stay) => guestStay.parse(stay));
      for (const host of now) assert.ok(stays.some((stay) => stay.host === host && !stay.to));
      const done = all.filter(({ outcome }) => outcome === 'done');
      assert.equal(stays.filter(({ migration }) => migration !== undefined).length, done.length);
    }),
  );
});
