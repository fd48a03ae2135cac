import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Transfers,
  type EndedTransfer,
  type Transfer,
} from '../../../../src/planner/sim/history/transfers.ts';
import { GIB } from '../../inventories.ts';

const HOSTS = ['a', 'b', 'c'].map((name) => ({ name, linkBytesPerSecond: 100e6 }));
const move = (guest: string, to: string, more: Partial<Transfer> = {}): Transfer => ({
  guest,
  from: 'a',
  to,
  memoryBytes: 10e9,
  dirtyBytesPerSecond: 0,
  ...more,
});

/** When each of them ends, s, and how. */
function run(moves: readonly Transfer[]): Map<string, EndedTransfer & { readonly at: number }> {
  const transfers = new Transfers(HOSTS);
  for (const each of moves) transfers.begin(each);
  const ends = new Map<string, EndedTransfer & { readonly at: number }>();
  for (let at = 0; transfers.until() < Infinity;) {
    const step = transfers.until();
    at += step;
    for (const each of transfers.advance(step)) ends.set(each.guest, { ...each, at });
  }
  return ends;
}

const near = (value: number | undefined, expected: number): void =>
  assert.ok(Math.abs((value ?? 0) / expected - 1) < 0.01, `${value} is not ${expected}`);

test('simultaneous moves out of a host take twice as long, and the remaining one continues alone', () => {
  near(run([move('one', 'b')]).get('one')?.at, 101.5);
  const both = run([move('one', 'b'), move('two', 'c', { memoryBytes: 20e9 })]);
  near(both.get('one')?.at, 201.5);
  // Half of it at half the link, and then the rest at all of it.
  near(both.get('two')?.at, 301.5);
});

test('a guest that writes takes longer and sends more, and one that writes more than the link carries fails', () => {
  const quiet = run([move('one', 'b')]).get('one');
  const writes = run([move('one', 'b', { dirtyBytesPerSecond: 50e6 })]).get('one');
  near(quiet?.sentBytes, 10e9);
  near(writes?.sentBytes, 20e9);
  assert.ok((writes?.at ?? 0) > 1.9 * (quiet?.at ?? 0) && writes?.failed === false);
  assert.equal(run([move('one', 'b', { dirtyBytesPerSecond: 200e6 })]).get('one')?.failed, true);
});

test('a move fails after its share, and one that is aborted has failed', () => {
  const half = run([move('one', 'b', { failsAfter: 0.5 })]).get('one');
  near(half?.at, 50.75);
  assert.equal(half?.failed, true);
  const transfers = new Transfers(HOSTS);
  transfers.begin(move('one', 'b', { memoryBytes: GIB }));
  assert.deepEqual(
    transfers.abort(({ to }) => to === 'b').map(({ guest, failed }) => [guest, failed]),
    [['one', true]],
  );
  assert.equal(transfers.until(), Infinity);
});
