import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  CLOSED_MS,
  FALLS_MS,
  stepsOf,
  type PowerHost,
} from '../../../src/controller/power/steps.ts';

const RULES = { emptyMs: 1000, spare: 1 };
const NOW = 1_000_000;

/** A host that is on and was without a guest for long, but for what is said. */
const host = (name: string, more: Partial<PowerHost> = {}): PowerHost => ({
  name,
  isNamed: true,
  maySleep: true,
  isUp: true,
  isUsed: false,
  isClosed: false,
  memoryBytes: 64,
  emptySinceMs: 0,
  isCalled: false,
  ...more,
});
const used = (name: string): PowerHost => {
  const { emptySinceMs: _, ...rest } = host(name, { isUsed: true });
  return rest;
};
const steps = (...hosts: PowerHost[]) => Object.fromEntries(stepsOf(hosts, NOW, RULES));
const falling = (ageMs: number) => ({ state: 'falling-asleep', sinceMs: NOW - ageMs }) as const;
const asleep = (ageMs: number) => ({ state: 'asleep', sinceMs: NOW - ageMs }) as const;
const waking = { state: 'waking', sinceMs: NOW } as const;

test('the largest host without guests stays on, and the others are closed one at a time', () => {
  assert.deepEqual(steps(host('a'), host('b', { memoryBytes: 128 }), host('c'), used('d')), {
    a: 'close',
  });
  assert.deepEqual(steps(host('a'), used('b')), {});
});

test('a host stays on if it was empty only briefly, has no policy, is not listed, or was closed by a person', () => {
  for (const more of [
    { emptySinceMs: NOW - 999 },
    { maySleep: false },
    { isNamed: false },
    { isClosed: true },
    { isUp: false },
  ]) {
    assert.deepEqual(
      steps(host('a', { memoryBytes: 128 }), host('b', more)),
      {},
      JSON.stringify(more),
    );
  }
});

test('a closed host sleeps after a minute without a guest, and is opened if one came', () => {
  const spare = host('z');
  assert.deepEqual(steps(spare, host('a', { power: falling(CLOSED_MS - 1) })), {});
  assert.deepEqual(steps(spare, host('a', { power: falling(CLOSED_MS) })), { a: 'put-to-sleep' });
  const came = host('a', { power: falling(CLOSED_MS), isUsed: true });
  assert.deepEqual(steps(spare, came), { a: 'open' });
  const silent = host('a', { power: falling(0), isUp: false });
  assert.deepEqual(steps(spare, silent), { a: 'found-asleep' });
});

test('a sleeping host is woken if no policy wants it asleep, and one that answers is on', () => {
  const spare = host('z');
  const sleeping = host('a', { power: asleep(FALLS_MS), isUp: false });
  assert.deepEqual(steps(spare, sleeping), {});
  assert.deepEqual(steps(spare, { ...sleeping, maySleep: false }), { a: 'ask-to-wake' });
  assert.deepEqual(steps(spare, { ...sleeping, isUp: true }), { a: 'found-on' });
  // It answers still while it falls asleep.
  assert.deepEqual(steps(spare, host('a', { power: asleep(FALLS_MS - 1) })), {});
});

test('a requested host is woken, and is on once it answers after that', () => {
  const spare = host('z');
  assert.deepEqual(steps(spare, host('a', { power: waking })), { a: 'wake' });
  const called = host('a', { power: waking, isCalled: true, isUp: false });
  assert.deepEqual(steps(spare, called), {});
  assert.deepEqual(steps(spare, { ...called, isUp: true }), { a: 'found-on' });
});

test('another host wakes when the last spare one is used, before it is needed', () => {
  const sleeping = { power: asleep(FALLS_MS), isUp: false };
  const all = [used('a'), host('b', sleeping), host('c', { ...sleeping, memoryBytes: 128 })];
  assert.deepEqual(steps(...all), { c: 'ask-to-wake' });
  // One that is about to sleep is the quickest.
  assert.deepEqual(steps(...all, host('d', { power: falling(0) })), { d: 'open' });
  // One that wakes counts.
  assert.deepEqual(steps(...all, host('d', { power: waking, isCalled: true, isUp: false })), {});
});

test('a host with a guest, or closed by a person, is never closed or put to sleep, and spare hosts stay on', () => {
  const power = fc.option(
    fc.record({
      state: fc.constantFrom('falling-asleep' as const, 'asleep' as const, 'waking' as const),
      sinceMs: fc.integer({ min: NOW - 10 * FALLS_MS, max: NOW }),
    }),
    { nil: undefined },
  );
  const flag = fc.boolean();
  const any = fc
    .record({
      isNamed: flag,
      maySleep: flag,
      isUp: flag,
      isUsed: flag,
      isClosed: flag,
      isCalled: flag,
      memoryBytes: fc.nat(3),
      emptySinceMs: fc.constantFrom(0, NOW),
      power,
    })
    .map(({ power: at, ...rest }) => (at === undefined ? rest : { ...rest, power: at }));
  fc.assert(
    fc.property(fc.array(any, { maxLength: 8 }), fc.nat(3), (some, spare) => {
      const hosts = some.map((each, nth): PowerHost => ({ ...each, name: `h${nth}` }));
      const found = stepsOf(hosts, NOW, { emptyMs: 1000, spare });
      const isFree = (each: PowerHost): boolean =>
        each.power === undefined && each.isUp && !each.isUsed && !each.isClosed;
      const closing = hosts.filter(({ name }) => found.get(name) === 'close');
      assert.ok(closing.length <= 1);
      for (const each of closing) assert.ok(isFree(each) && each.maySleep && each.isNamed);
      if (closing.length > 0) assert.ok(hosts.filter(isFree).length - closing.length >= spare);
      for (const each of hosts.filter(({ name }) => found.get(name) === 'put-to-sleep'))
        assert.ok(!each.isUsed && each.maySleep && each.isNamed);
    }),
  );
});
