import assert from 'node:assert/strict';
import { test } from 'node:test';
import { guestsToSize, sizeOf } from '../../../src/controller/requests/guest-size.ts';
import { storedWorld } from '../../../src/controller/requests/preview.ts';
import type { FleetRequestAsk } from '../../../src/protocol/controller/fleet-request.ts';
import { optionOf } from '../plan-options.ts';
import { drainOf, guest, host, world } from './worlds.ts';

const hosts = [host('a', { site: 's1' }), host('b', { site: 's2' }), host('c', { site: 's2' })];
const sites = { from: 's1', to: 's2' };
const guests = [guest('g1', 'a'), guest('g2', 'a'), guest('g3', 'b')];
const labels = { g1: { 'godwit/priority': '1' }, g2: { 'godwit/priority': '9' } };
const toSize = (more: Partial<FleetRequestAsk>, closed: readonly string[] = []) => {
  const marks = new Map(closed.map((name) => [name, { host: name, maintenance: 'fans' }]));
  const request = drainOf('a', { kind: 'evacuate', to: ['b', 'c'], ...more });
  return guestsToSize(request, storedWorld(request, world({ hosts, guests, labels, marks })));
};

test('the guests of a site are measured towards a host that accepts guests, the most important first', () => {
  assert.deepEqual(toSize({ sites }, ['b']), [
    { guest: 'g2', from: 'a', to: 'c' },
    { guest: 'g1', from: 'a', to: 'c' },
  ]);
});

test('guests are not measured for a request that leaves no site, or has no open host to go to', () => {
  assert.deepEqual(toSize({}), []);
  assert.deepEqual(toSize({ sites }, ['b', 'c']), []);
});

test("a size has pre-copy's bytes if that converges, and post-copy's bytes on the same path", () => {
  const others = [
    optionOf({ bytes: 900, mode: 'postcopy', path: 'native' }),
    optionOf({ bytes: 400, mode: 'postcopy' }),
  ];
  const sized = (probability: number) =>
    sizeOf({ prediction: optionOf({ bytes: 500, probability }), others });
  assert.deepEqual(sized(0.95), { precopyBytes: 500, postcopyBytes: 400 });
  assert.deepEqual(sized(0.94), { postcopyBytes: 400 });
  assert.deepEqual(sizeOf({ prediction: optionOf({ bytes: 500 }) }), { precopyBytes: 500 });
  assert.equal(sizeOf({ others }), undefined);
});

test('a guest has no measured size if neither mode is known to end, or if a host reports an impossible rate', () => {
  assert.equal(sizeOf({ prediction: optionOf({ bytes: 500, probability: 0.5 }) }), undefined);
  assert.equal(sizeOf({ prediction: optionOf({ bytes: Number.MAX_SAFE_INTEGER }) }), undefined);
  const others = [optionOf({ bytes: Number.NaN, mode: 'postcopy' })];
  assert.equal(sizeOf({ prediction: optionOf({ bytes: 500 }), others }), undefined);
});
