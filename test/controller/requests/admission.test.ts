import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { admit, type Entry } from '../../../src/controller/requests/admission.ts';
import { roomBytes } from '../../../src/controller/requests/room.ts';
import type { Reservation } from '../../../src/controller/requests/facts.ts';
import { GIB, guest, host, NOW, world } from './worlds.ts';

const entry = (name: string, more: Partial<Entry> = {}): Entry => ({
  guest: name,
  from: 'a',
  to: 'b',
  memoryBytes: GIB,
  notBeforeMs: 0,
  ...more,
});
const requester = { request: 'r-00000001', priority: 0, most: 100, begin: 64 };
const hosts = ['a', 'b', 'c', 'd'].map((name) => host(name));
const names = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6'];
const guests = names.map((name) => guest(name, 'a'));
const waits = (found: ReturnType<typeof admit>): string[] =>
  found.waiting.map(({ waitsFor }) => waitsFor);

test('moves of several drains at once are never promised more memory than a destination has', () => {
  const drains = fc.array(
    fc.array(
      fc.record({
        to: fc.constantFrom('b', 'c'),
        memoryBytes: fc.integer({ min: 1, max: 24 }).map((gib) => gib * GIB),
      }),
      { maxLength: 8 },
    ),
    { minLength: 4, maxLength: 4 },
  );
  fc.assert(
    fc.property(drains, (all) => {
      let reservations: Reservation[] = [];
      const limits = { outPerHost: 99, inPerHost: 99, fleet: 99, links: {} };
      for (const [drain, moves] of all.entries()) {
        const entries = moves.map((each, place) => entry(`g${drain}-${place}`, each));
        const now = world({ hosts, guests: [], reservations, limits });
        const { begin } = admit(entries, { ...requester, request: `r-${drain}` }, now);
        reservations = reservations.concat(
          begin.map((each) => ({
            move: each.guest,
            request: `r-${drain}`,
            guest: each.guest,
            host: each.to,
            source: each.from,
            memoryBytes: each.memoryBytes,
          })),
        );
      }
      for (const name of ['b', 'c']) {
        const promised = reservations
          .filter((each) => each.host === name)
          .reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
        assert.ok(promised <= 64 * GIB, `${promised} promised on ${name}`);
      }
    }),
  );
});

test('each limit holds, and each entry names the limit that it waits for', () => {
  const now = world({ hosts, guests });
  const six = names.map((name) => entry(name));
  assert.deepEqual(waits(admit(six, requester, now)), ['host-limit', 'host-limit']);
  const limits = { outPerHost: 9, inPerHost: 2, fleet: 9, links: { 'a>c': 1 } };
  const limited = world({ hosts, guests, limits });
  assert.deepEqual(waits(admit(six.slice(0, 3), requester, limited)), ['destination-limit']);
  const onLink = names.slice(0, 2).map((name) => entry(name, { to: 'c' }));
  assert.deepEqual(waits(admit(onLink, requester, limited)), ['link-limit']);
  assert.deepEqual(waits(admit(six.slice(0, 2), { ...requester, most: 1 }, now)), [
    'request-limit',
  ]);
  const fleet = world({ hosts, guests, limits: { ...limits, fleet: 1 } });
  assert.deepEqual(waits(admit(six.slice(0, 2), requester, fleet)), ['fleet-limit']);
});

test('no guest goes to a host that is silent, drained, full, or has one of its group', () => {
  const now = world({
    hosts: [host('a'), host('b', { silentSinceMs: NOW - 9000 }), host('c'), host('d')],
    guests: [...guests, guest('other', 'd'), guest('huge', 'a', { memoryBytes: 70 * GIB })],
    marks: new Map([['c', { host: 'c', drainingFor: 'r-00000009' }]]),
    labels: { other: { 'godwit/anti-affinity': 'db' }, g3: { 'godwit/anti-affinity': 'db' } },
  });
  const all = [
    entry('g1'),
    entry('g2', { to: 'c' }),
    entry('g3', { to: 'd' }),
    entry('huge', { to: 'd', memoryBytes: 70 * GIB }),
  ];
  assert.deepEqual(waits(admit(all, requester, now)), [
    'destination',
    'destination',
    'apart',
    'memory',
  ]);
});

test("the fleet's limit is granted by priority, and equal requests take turns", () => {
  const limits = { outPerHost: 9, inPerHost: 9, fleet: 2, links: {} };
  const moving = (move: string, request: string): Reservation => ({
    move,
    request,
    guest: move,
    host: 'c',
    source: 'd',
    memoryBytes: GIB,
  });
  const reservations = [moving('m-1', requester.request)];
  const rival = { request: 'r-00000002', priority: 0, running: 0, waiting: 3 };
  const now = world({ hosts, guests, limits, reservations, others: [rival] });
  assert.deepEqual(waits(admit([entry('g1')], requester, now)), ['turn']);
  assert.deepEqual(waits(admit([entry('g1')], { ...requester, priority: 1 }, now)), []);
  const greater = world({ hosts, guests, limits, others: [{ ...rival, priority: 5 }] });
  assert.deepEqual(waits(admit([entry('g1')], requester, greater)), ['turn']);
});

test('a window and a pause before the next attempt are reported with their end', () => {
  const now = world({ hosts, guests, labels: { g1: { 'godwit/window': '00:00-00:01' } } });
  const [first, second] = admit(
    [entry('g1'), entry('g2', { notBeforeMs: NOW + 5000 })],
    requester,
    now,
  ).waiting;
  assert.equal(first?.waitsFor, 'window');
  assert.ok((first?.startsAtMs ?? 0) > NOW);
  assert.deepEqual([second?.waitsFor, second?.startsAtMs], ['retry', NOW + 5000]);
});

test('the room that a kernel has left is promised once, even to a guest that is listed on its way in', () => {
  const coming = guest('g1', 'b', { at: [{ host: 'b', state: 'incoming' }], memoryBytes: 6 * GIB });
  const reservation = { move: 'm-00000001', request: 'r-00000001', guest: 'g1', host: 'b' };
  const now = world({
    hosts: [host('b', { availableBytes: 8 * GIB })],
    guests: [coming],
    reservations: [{ ...reservation, source: 'a', memoryBytes: 6 * GIB }],
  });
  assert.equal(roomBytes(now, 'b'), 2 * GIB);
});
