import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leftOf } from '../../../src/controller/requests/candidates.ts';
import { begin, REPLAN_MS } from '../../../src/controller/requests/begin.ts';
import { DEFAULT_LIMITS } from '../../../src/controller/requests/facts.ts';
import { reservationOf } from '../../../src/controller/requests/step.ts';
import type { Move, FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { drainOf, guest, host, moveOf, NOW, world } from './worlds.ts';

test("a move gives the longer of its request's notice and its guest's labelled notice", () => {
  const noticeOf = (label: string, settings: FleetRequest['ask']['settings']) => {
    const request = drainOf('a', { settings });
    const labels = { g1: { 'godwit/notice': label } };
    const now = world({ hosts: [host('a'), host('b')], guests: [guest('g1', 'a')], labels });
    const standing = { request, left: leftOf(request, [], now), open: [], world: now };
    return begin(standing, { epoch: 1, ids: ['m-00000001'] }).moves[0]?.settings.noticeMs;
  };
  assert.equal(noticeOf('60s', {}), 60_000);
  assert.equal(noticeOf('60s', { noticeMs: 5000 }), 60_000);
  assert.equal(noticeOf('60s', { noticeMs: 90_000 }), 90_000);
});

test("another destination is chosen once a guest may leave, and not while its host's outgoing limit is reached", () => {
  const hosts = ['a', 'b', 'c'].map((each) => host(each));
  const guests = ['g1', 'g2'].map((each) => guest(each, 'a'));
  const limits = { ...DEFAULT_LIMITS, outPerHost: 1 };
  const planned: FleetRequest = {
    ...drainOf('a'),
    order: ['g1', 'g2'].map((each) => ({ guest: each, to: 'b', seconds: 1 })),
    plannedAtMs: NOW - REPLAN_MS,
  };
  // Guests go to b no more.
  const marks = new Map([['b', { host: 'b', drainingFor: 'r-00000002' }]]);
  const places = (open: readonly Move[]) => {
    const reservations = open.flatMap((each) => reservationOf(each) ?? []);
    const now = world({ hosts, guests, limits, marks, reservations });
    const standing = { request: planned, left: leftOf(planned, open, now), open, world: now };
    const { request, moves } = begin(standing, { epoch: 1, ids: ['m-00000002'] });
    return [...moves, ...request.order].map(({ guest: each, to }) => `${each} to ${to}`);
  };
  assert.deepEqual(places([moveOf()]), ['g2 to b']);
  assert.deepEqual(places([]).toSorted(), ['g1 to c', 'g2 to c']);
});

test('a repeated plan counts running moves: a guest whose place is closed goes elsewhere at the same time', () => {
  const hosts = ['a', 'b', 'c'].map((each) => host(each));
  const names = ['g1', 'g2', 'g3', 'g4'];
  const guests = names.map((each) => guest(each, 'a'));
  const request: FleetRequest = {
    ...drainOf('a'),
    order: [{ guest: 'g4', to: 'b', seconds: 1 }],
    parallel: 4,
    plannedAtMs: NOW - REPLAN_MS,
  };
  const open = names.slice(0, 3).map((each) => moveOf({ id: `m-${each}`, guest: each }));
  const reservations = open.flatMap((each) => reservationOf(each) ?? []);
  const marks = new Map([['b', { host: 'b', drainingFor: 'r-00000002' }]]);
  const now = world({ hosts, guests, marks, reservations });
  const standing = { request, left: leftOf(request, open, now), open, world: now };
  const begun = begin(standing, { epoch: 1, ids: ['m-00000002'] });
  assert.deepEqual(
    begun.moves.map(({ guest: each, to }) => `${each} to ${to}`),
    ['g4 to c'],
    JSON.stringify(begun.queue),
  );
  assert.equal(begun.request.parallel, 4);
});

test('a guest whose place is taken by other moves goes to a free host, or waits if there is none', () => {
  const guests = [guest('g1', 'a'), ...['o1', 'o2', 'o3'].map((each) => guest(each, 'd'))];
  const limits = { ...DEFAULT_LIMITS, inPerHost: 1 };
  const request: FleetRequest = {
    ...drainOf('a'),
    order: [{ guest: 'g1', to: 'b', seconds: 1 }],
    plannedAtMs: NOW - REPLAN_MS,
  };
  const goes = (taken: readonly string[], site?: string) => {
    const reservations = taken.flatMap((to, place) => {
      const other = { id: `m-${to}`, request: 'r-other', guest: `o${place + 1}`, from: 'd', to };
      return reservationOf(moveOf(other)) ?? [];
    });
    const more = site === undefined ? {} : { site };
    const hosts = ['a', 'b', 'c', 'd'].map((each) => host(each, each === 'c' ? more : {}));
    const marks = new Map([['d', { host: 'd', drainingFor: 'r-other' }]]);
    const now = world({ hosts, guests, limits, marks, reservations });
    const standing = { request, left: leftOf(request, [], now), open: [], world: now };
    const { moves, queue } = begin(standing, { epoch: 1, ids: ['m-00000002'] });
    return [...moves.map(({ to }) => to), ...queue.map(({ waitsFor }) => waitsFor)];
  };
  assert.deepEqual(goes([]), ['b']);
  assert.deepEqual(goes(['b']), ['c']);
  assert.deepEqual(goes(['b', 'c']), ['destination-limit']);
  // A host of another site is none for it.
  assert.deepEqual(goes(['b'], 's2'), ['destination-limit']);
});
