import assert from 'node:assert/strict';
import { test } from 'node:test';
import { factsOf, GuestsMemory } from '../../../src/controller/engine/fleet-view.ts';
import type { SnapshotHost } from '../../../src/controller/inventory/snapshot.ts';
import { whyClosed } from '../../../src/controller/requests/facts.ts';
import { leftOf } from '../../../src/controller/requests/candidates.ts';
import { step, type StepOutput } from '../../../src/controller/requests/step.ts';
import { newRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { guestInfo, hostInfo, type GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { drainOf, NOW, world } from '../requests/worlds.ts';

const host = (name: string, more: Partial<SnapshotHost> = {}): SnapshotHost => ({
  name,
  address: '127.0.0.1:1',
  state: 'up',
  sinceMs: 5,
  silentSinceMs: undefined,
  memoryBytes: 100,
  memoryAvailableBytes: 60,
  cores: 4,
  info: undefined,
  managed: undefined,
  ...more,
});

test('an unheard host is silent, whatever the cause, and a guest has all hosts that report it', () => {
  const info = (at: string) =>
    guestInfo.parse({ name: 'g1', host: at, driver: 'fake', state: 'running', memoryBytes: 7 });
  const { hosts, guests } = factsOf({
    nowMs: 9,
    hosts: [host('a'), host('b', { state: 'untrusted' }), host('c', { memoryBytes: undefined })],
    guests: [
      { host: 'a', info: info('a') },
      { host: 'b', info: info('b') },
    ],
  });
  assert.deepEqual(
    [...hosts.values()].map(({ name, silentSinceMs }) => [name, silentSinceMs]),
    [
      ['a', undefined],
      ['b', 5],
      ['c', 5],
    ],
  );
  assert.deepEqual(
    guests.get('g1')?.at.map((each) => each.host),
    ['a', 'b'],
  );
});

test("a host that reports itself closed is not a destination, and its reason is the plan's", () => {
  const closed = 'it gives less than the baseline Nehalem-v1,aes=on: it lacks aes';
  const info = { ...hostInfo.partial().parse({}), closed } as SnapshotHost['info'];
  const { hosts } = factsOf({ nowMs: 9, hosts: [host('a'), host('b', { info })], guests: [] });
  assert.equal(hosts.get('a')?.closed, undefined);
  assert.equal(hosts.get('b')?.closed, closed);
  const known = { marks: new Map(), hosts };
  assert.equal(whyClosed(known, 'a'), undefined);
  assert.equal(whyClosed(known, 'b'), `b: ${closed}`);
});

const reports = (name: string, at: string, more: Partial<GuestInfo> = {}) => ({
  host: at,

  info: guestInfo.parse({ name, host: at, driver: 'fake', state: 'running', ...more }),
});

test('a look without a new report of any guest has the guests of the previous look', () => {
  const memory = new GuestsMemory();
  const [first, second] = [reports('g1', 'a'), reports('g2', 'b')];
  const before = memory.of([first, second]);
  assert.equal(memory.of([{ ...first }, second]).guests, before.guests);
});

test('a guest that was reported again, came or left is up to date in the next look', () => {
  const memory = new GuestsMemory();
  const [first, second] = [reports('g1', 'a'), reports('g2', 'b')];
  const before = memory.of([first, second]);
  const labels = { 'godwit/never-move': 'true' };
  const changed = memory.of([first, reports('g2', 'c', { labels })]);
  assert.equal(changed.guests.get('g1'), before.guests.get('g1'));
  assert.deepEqual(changed.guests.get('g2')?.at, [{ host: 'c', state: 'running' }]);
  assert.deepEqual(changed.labels.get('g2'), labels);
  const stopped = memory.of([reports('g1', 'a', { state: 'stopped' }), second]);
  assert.deepEqual(stopped.guests.get('g1')?.at, [{ host: 'a', state: 'stopped' }]);
  const doubled = memory.of([first, { ...first, host: 'b' }, second]);
  assert.deepEqual(
    doubled.guests.get('g1')?.at.map((each) => each.host),
    ['a', 'b'],
  );
  assert.equal(doubled.labels.size, 0);
  assert.deepEqual([...memory.of([second]).guests.keys()], ['g2']);
  assert.deepEqual([...memory.of([reports('g3', 'a')]).guests.keys()], ['g3']);
});

type ReportedGuest = Partial<GuestInfo> & { readonly host: string };

/** A drain of `a`, one step on, over hosts a, b and c that say this of guests called g1. */
function drained(said: readonly ReportedGuest[], on = 'a'): StepOutput {
  const guests = said.map((each) => ({
    host: each.host,

    info: guestInfo.parse({
      name: 'g1',
      driver: 'fake',
      state: 'running',
      memoryBytes: 7,
      ...each,
    }),
  }));
  const look = factsOf({ nowMs: 9, hosts: [host('a'), host('b'), host('c')], guests });
  const now = { ...world({ hosts: [], guests: [] }), ...look, nowMs: NOW };
  const none = { moves: [], sights: new Map(), cancel: 'no', epoch: 1 } as const;
  return step({ ...none, request: drainOf(on), world: now, ids: ['m-00000001'] });
}

const REAL = { host: 'a', uuid: 'u-1' } as const;
const LIES: readonly Partial<GuestInfo>[] = [
  { labels: { 'godwit/never-move': 'true' } },
  { unmovable: ['a device is passed through'] },
  { manager: 'pve' },
  { state: 'stopped' },
  { migration: 'm-00000009' },
  {},
];

for (const lie of LIES) {
  test(`another host's guest of that name keeps no guest from moving: ${JSON.stringify(lie)}`, () => {
    for (const uuid of ['u-2', undefined]) {
      const other = { host: 'b', ...lie, ...(uuid === undefined ? {} : { uuid }) };
      for (const said of [
        [REAL, other],
        [other, REAL],
      ]) {
        const { moves, request } = drained(said);
        assert.deepEqual(
          moves.map(({ guest, from }) => [guest, from]),
          [['g1', 'a']],
          JSON.stringify(request),
        );
      }
    }
  });
}

test('a host that does not run the very guest has no influence on it', () => {
  for (const lie of LIES) {
    const { moves } = drained([REAL, { ...REAL, ...lie, host: 'b', state: 'stopped' }]);
    assert.equal(moves[0]?.from, 'a');
  }
});

test('a guest that runs on two hosts is not touched, whatever either host reports', () => {
  for (const lie of LIES.filter(({ state, migration }) => (state ?? migration) === undefined)) {
    const { moves, request } = drained([REAL, { ...REAL, ...lie, host: 'b' }]);
    assert.deepEqual(moves, []);
    assert.equal(request.phase, 'working');
    assert.match(request.queue[0]?.words ?? '', /a and b both say/);
  }
});

test("the report of the guest's host prevails", () => {
  for (const reported of LIES.slice(0, 4)) {
    const { moves, request } = drained([
      { ...REAL, ...reported },
      { host: 'b', uuid: 'u-2' },
    ]);
    assert.deepEqual(moves, []);
    assert.equal(request.stays[0]?.host, 'a');
  }
});

test('a name that different guests share identifies none of them', () => {
  const guests = ['a', 'b'].map((at) => ({
    host: at,

    info: guestInfo.parse({ name: 'g1', host: at, uuid: at, driver: 'fake', state: 'running' }),
  }));
  const look = factsOf({ nowMs: 9, hosts: [host('a'), host('b'), host('c')], guests });
  const now = { ...world({ hosts: [], guests: [] }), ...look };
  const ask = { kind: 'migration' as const, guest: 'g1', hosts: [], priority: 0, settings: {} };
  for (const to of ['a', 'b', 'c']) {
    const request = newRequest('r-00000002', { ...ask, to: [to] }, { nowMs: NOW, by: 'test' });
    const { waiting } = leftOf(request, [], now);
    assert.match(waiting[0]?.words ?? '', /a and b run different guests of that name/);
  }
});

test('the running one of two guests with one name on one host goes first, and the other is named', () => {
  const stopped = { host: 'a', uuid: 'u-0', state: 'stopped' } as const;
  const { moves, request } = drained([stopped, { ...stopped, uuid: 'u-2' }, REAL]);
  assert.deepEqual(
    moves.map(({ from }) => from),
    ['a'],
  );
  assert.deepEqual(
    request.queue.map(({ waitsFor }) => waitsFor),
    ['other-move', 'other-move'],
  );
});
