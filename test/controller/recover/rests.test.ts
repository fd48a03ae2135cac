import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rests, SLOW_MS } from '../../../src/controller/recover/rests.ts';

const pair = (host: string, to: string) => ({ host, to });

test('a destination that answers a source slowly rests for that source four times as long, and not for others', () => {
  const rests = new Rests();
  assert.equal(rests.note(pair('a', 'evil'), 110_000, 110_000), 0);
  assert.deepEqual([...rests.destinations('a', 110_000)], ['evil']);
  assert.deepEqual([...rests.destinations('b', 110_000)], []);
  assert.equal(rests.isResting('a', 110_000), false);
  assert.deepEqual([...rests.destinations('a', 549_999)], ['evil']);
  assert.deepEqual([...rests.destinations('a', 550_000)], []);
});

test('an answer within the usual time causes no rest', () => {
  const rests = new Rests();
  for (let each = 0; each < 100; each += 1) rests.note(pair('a', 'b'), SLOW_MS - 1, 0);
  assert.deepEqual([...rests.destinations('a', 0)], []);
  assert.equal(rests.isResting('a', 0), false);
});

test('a source that is slow with four destinations in a row rests itself, and again after one more slow answer', () => {
  const rests = new Rests();
  for (const to of ['b', 'c', 'd']) assert.equal(rests.note(pair('evil', to), 100_000, 0), 0);
  assert.equal(rests.isResting('evil', 0), false);
  assert.equal(rests.note(pair('evil', 'e'), 100_000, 0), 400_000);
  assert.equal(rests.isResting('evil', 399_999), true);
  assert.equal(rests.isResting('evil', 400_000), false);
  assert.equal(rests.note(pair('evil', 'f'), 100_000, 500_000), 400_000);
});

test('a quick answer in between keeps a source from resting', () => {
  const rests = new Rests();
  for (const to of ['b', 'c', 'd']) rests.note(pair('a', to), 100_000, 0);
  rests.note(pair('a', 'e'), 1000, 0);
  assert.equal(rests.note(pair('a', 'f'), 100_000, 0), 0);
  assert.equal(rests.isResting('a', 0), false);
});

test('sources that are followed elsewhere are forgotten', () => {
  const rests = new Rests();
  for (const host of ['a', 'b']) rests.note(pair(host, 'evil'), 100_000, 0);
  rests.keep(new Set(['b']));
  assert.deepEqual([...rests.destinations('a', 0)], []);
  assert.deepEqual([...rests.destinations('b', 0)], ['evil']);
});
