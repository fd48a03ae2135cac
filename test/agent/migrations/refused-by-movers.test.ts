import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { RefusedByMovers } from '../../../src/agent/migrations/refused-by-movers.ts';
import { tempDir } from '../../rpc/test-contract.ts';

interface Host {
  readonly ended: Set<string>;
  readonly served: Set<string>;
  readonly refused: RefusedByMovers;
  readonly write: (id: string, count: number, kinds?: number) => void;
  readonly counts: () => Record<string, number>;
}

/** Migrations whose movers refused something, as files. */
function host(t: TestContext, ids: readonly string[]): Host {
  const dir = tempDir(t);
  const ended = new Set<string>();
  const served = new Set(ids);
  const all = ids.map((id) => ({ id, dir: path.join(dir, id), request: {} as never }));
  for (const each of all) mkdirSync(each.dir);
  const store = { all: () => all, isEnded: (id: string) => ended.has(id) };
  const state = { pid: 1, startTicks: '1', bootId: 'b', address: 'unix:/m', serving: true };
  const refused = new RefusedByMovers(store, {
    find: ({ id }) => (served.has(id) ? (state as never) : undefined),
  });
  const write: Host['write'] = (id, count, kinds = 1) => {
    const one = { code: 'GODWIT_TOO_LARGE', count, message: 'm', at: '2026-01-01T00:00:00.000Z' };
    const list = Array.from({ length: kinds }, (_, index) => ({ ...one, peer: `${id} ${index}` }));
    writeFileSync(path.join(dir, id, 'refused.json'), JSON.stringify(list));
  };
  const counts = () => Object.fromEntries(refused.list().map((each) => [each.peer, each.count]));
  return { ended, served, refused, write, counts };
}

test('the file of a migration is read until it has ended and its mover is gone, and then no more', (t) => {
  const { ended, served, write, counts } = host(t, ['m1', 'm2']);
  write('m1', 1);
  assert.deepEqual(counts(), { 'm1 0': 1 });
  ended.add('m1');
  write('m1', 2);
  assert.deepEqual(counts(), { 'm1 0': 2 }, 'its mover may still write');
  served.delete('m1');
  write('m1', 3);
  write('m2', 1);
  assert.deepEqual(counts(), { 'm1 0': 3, 'm2 0': 1 });
  write('m1', 9);
  write('m2', 2);
  assert.deepEqual(counts(), { 'm1 0': 3, 'm2 0': 2 });
});

test('a migration that is opened again is read again', (t) => {
  const { ended, served, write, counts } = host(t, ['m1']);
  write('m1', 1);
  ended.add('m1');
  served.clear();
  assert.deepEqual(counts(), { 'm1 0': 1 });
  ended.clear();
  write('m1', 5);
  assert.deepEqual(counts(), { 'm1 0': 5 });
  ended.add('m1');
  assert.deepEqual(counts(), { 'm1 0': 5 });
});

test('refusals beyond the memory bound are counted all the same', (t) => {
  const ids = Array.from({ length: 70 }, (_, index) => `m${index}`);
  const { ended, served, write, counts } = host(t, ids);
  served.clear();
  for (const id of ids) {
    write(id, 1, 64);
    ended.add(id);
  }
  for (let time = 0; time < 2; time += 1) assert.equal(Object.keys(counts()).length, 70 * 64);
});
