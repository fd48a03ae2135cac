import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HostFacts, StandbyFacts, World } from '../../../src/controller/requests/facts.ts';
import { roomBytes } from '../../../src/controller/requests/room.ts';
import { previewOf } from '../../../src/controller/requests/preview.ts';
import { step, type StepInput, type StepOutput } from '../../../src/controller/requests/step.ts';
import { godwitError } from '../../../src/errors.ts';
import {
  isRequestEnd,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';
import { drainOf, GIB, guest, host, moveOf, NOW, world, type Fleet } from './worlds.ts';

const RECOVER = { 'godwit/recover': 'true' };
const dead = (name: string): HostFacts => host(name, { silentSinceMs: NOW - 60_000 });
const recoveryOf = (more: Partial<FleetRequestAsk> = {}): FleetRequest =>
  drainOf('a', { kind: 'recover', ...more });

const standbys = (all: Readonly<Record<string, readonly string[]>>): Map<string, StandbyFacts> =>
  new Map(Object.entries(all).map(([name, hosts]) => [`a ${name}`, { hosts }]));

/** Host a is dead; g1 and g2 were on it, and b and c keep what starts them. */
const scene = (more: Partial<Fleet> = {}): World =>
  world({
    hosts: [dead('a'), host('b'), host('c')],
    guests: [guest('g1', 'a'), guest('g2', 'a')],
    labels: { g1: RECOVER, g2: { ...RECOVER, 'godwit/priority': '7' } },
    standbys: standbys({ g1: ['b', 'c'], g2: ['b', 'c'] }),
    ...more,
  });

function stepOf(request: FleetRequest, now: World, more: Partial<StepInput> = {}): StepOutput {
  const ids = ['m-00000011', 'm-00000012', 'm-00000013'];
  const input = {
    request,
    moves: [],
    sights: new Map(),
    world: now,
    cancel: 'no',
    epoch: 3,
  } as const;
  return step({ ...input, ids, ...more });
}

test('guests of a dead host are started where they are kept, the most important first', () => {
  const { request, moves } = stepOf(recoveryOf(), scene());
  assert.equal(request.phase, 'working');
  assert.deepEqual(
    moves.map(({ guest: name, from, phase, recovers }) => [name, from, phase, recovers]),
    [
      ['g2', 'a', 'chosen', { off: [] }],
      ['g1', 'a', 'chosen', { off: [] }],
    ],
  );
  assert.equal(new Set(moves.map(({ to }) => to)).size, 2);
});

test('each guest that is not started is named with the reason', () => {
  const now = scene({
    guests: ['g1', 'g2', 'g3', 'g4', 'g5'].map((name) => guest(name, 'a')),
    labels: {
      g1: {},
      g2: { ...RECOVER, 'godwit/never-move': 'true' },
      g3: RECOVER,
      g4: RECOVER,
      g5: RECOVER,
    },
    standbys: new Map([
      ['a g3', { hosts: [], words: 'b: its disks are not shared' }],
      ['a g5', { hosts: ['d'] }],
    ]),
  });
  const plan = previewOf(recoveryOf(), now);
  assert.deepEqual(plan.steps, []);
  assert.deepEqual(
    plan.stays.map(({ guest: name, words }) => [name, words]),
    [
      ['g1', 'its label godwit/recover does not ask for it'],
      ['g2', 'its label godwit/never-move says so'],
      ['g3', 'no host can start it: b: its disks are not shared'],
      ['g4', 'no host can start it: none kept what that takes while a lived'],
    ],
  );
  assert.match(plan.waiting[0]?.words ?? '', /\(d\) none answers/);
});

test('a guest of a host that answers, or one that another host runs, is not started elsewhere', () => {
  const alive = stepOf(recoveryOf(), scene({ hosts: [host('a'), host('b'), host('c')] }));
  assert.equal(alive.request.phase, 'left');
  assert.deepEqual(alive.moves, []);
  assert.match(alive.request.stays[0]?.words ?? '', /a answers/);
  const twice = guest('g1', 'a', {
    at: [
      { host: 'a', state: 'running' },
      { host: 'c', state: 'running' },
    ],
  });
  const both = stepOf(recoveryOf(), scene({ guests: [twice] }));
  assert.deepEqual(both.moves, []);
  assert.equal(both.request.queue[0]?.waitsFor, 'two-hosts');
});

test('hosts that die together are proved off together, whoever requested which', () => {
  const now = scene({
    hosts: [dead('a'), host('b'), dead('c'), dead('d'), host('e')],
    standbys: standbys({ g1: ['b'], g2: ['b'] }),
    marks: new Map([
      ['d', { host: 'd', drainingFor: 'r-00000002', recovering: true }],
      ['e', { host: 'e', drainingFor: 'r-00000003', recovering: true }],
    ]),
  });
  const { moves } = stepOf(recoveryOf({ hosts: ['a', 'c'] }), now);
  assert.deepEqual(moves[0]?.recovers, { off: ['c', 'd'] });
});

test('a refused start is tried elsewhere, and a guest that runs there ends the recovery', () => {
  const one = scene({ guests: [guest('g1', 'a')] });
  const { request, moves } = stepOf(recoveryOf(), one);
  const [first] = moves;
  const refused = stepOf(request, one, {
    moves,
    sights: new Map([[first?.id ?? '', { seen: 'failed' }]]),
  });
  const later = { ...one, nowMs: NOW + 10_000 };
  const again = stepOf(refused.request, later, { ids: ['m-00000021'] });
  assert.deepEqual(
    again.moves.map(({ to }) => to === first?.to),
    [false],
  );
  const there = world({
    ...scene(),
    hosts: [dead('a'), host('b'), host('c')],
    guests: [guest('g1', first?.to ?? '')],
    labels: { g1: RECOVER },
  });
  const ended = stepOf(request, there, {
    moves,
    sights: new Map([[first?.id ?? '', { seen: 'done' }]]),
  });
  assert.equal(ended.request.phase, 'done');
  assert.match(ended.request.words, /1 guest started elsewhere/);
});

test('a guest that a host lost before its start is tried again, and never given up', () => {
  const move = moveOf({ recovers: { off: [] }, createdAtMs: NOW - 100_000 });
  const now = scene({ guests: [guest('g1', 'a')] });
  const sights = new Map([[move.id, { seen: 'unknown' as const }]]);
  const { moves } = stepOf(recoveryOf(), now, { moves: [move], sights });
  assert.equal(moves[0]?.phase, 'failed');
});

test('a guest is started once, where it is kept, on an answering host with room, whatever is known', () => {
  const names = ['b', 'c', 'd'];
  const fleets = fc.record({
    room: fc.record({ b: fc.nat(4), c: fc.nat(4), d: fc.nat(4) }),
    silent: fc.subarray(names),
    guests: fc.array(
      fc.record({
        recover: fc.boolean(),
        kept: fc.subarray(names),
        priority: fc.integer({ min: -100, max: 100 }),
      }),
      { maxLength: 8 },
    ),
  });
  fc.assert(
    fc.property(fleets, ({ room, silent, guests }) => {
      const hosts = names.map((name) => ({
        ...(silent.includes(name) ? dead(name) : host(name)),
        memoryBytes: room[name as keyof typeof room] * GIB,
      }));
      const named = guests.map((each, index) => ({ ...each, name: `g${index}` }));
      const now = world({
        hosts: [dead('a'), ...hosts],
        guests: named.map(({ name }) => guest(name, 'a')),
        labels: Object.fromEntries(
          named.map(({ name, recover, priority }) => [
            name,
            { 'godwit/recover': String(recover), 'godwit/priority': String(priority) },
          ]),
        ),
        standbys: standbys(Object.fromEntries(named.map(({ name, kept }) => [name, kept]))),
      });
      const ids = named.map((_each, index) => `m-0000001${index}`);
      const { request, moves } = stepOf(recoveryOf(), now, { ids });
      assert.equal(new Set(moves.map((each) => each.guest)).size, moves.length);
      for (const { guest: name, to } of moves) {
        const own = named.find((each) => each.name === name);
        assert.ok(own?.recover === true && own.kept.includes(to) && !silent.includes(to));
      }
      for (const name of names) {
        const there = moves.filter(({ to }) => to === name).length;
        assert.ok(there * GIB <= roomBytes(now, name));
      }
      const seen = moves.length + request.queue.length + request.stays.length;
      assert.equal(seen, isRequestEnd(request.phase) ? request.stays.length : guests.length);
    }),
  );
});

test("an operator's insistence goes with the order of that guest alone", () => {
  const insist = [{ guest: 'g1', number: '0f3c9a5e21b7d846' }];
  const { moves } = stepOf(recoveryOf({ insist }), scene());
  assert.deepEqual(
    moves.map(({ guest: name, recovers }) => [name, recovers]),
    [
      ['g2', { off: [] }],
      ['g1', { off: [], insist: '0f3c9a5e21b7d846' }],
    ],
  );
});

test('a guest whose descriptions may all be stale is not tried again, and the reason names the flag to insist with', () => {
  const facts = { host: 'b', guest: 'g1', from: 'a', reason: 'it was never confirmed' };
  const error = godwitError('GODWIT_STANDBY_STALE', {
    ...facts,
    age: 'never',
    disks: 'vda: x',
    number: '0f3c9a5e21b7d846',
  }).toJSON();
  const tried = (at: string[]): FleetRequest => ({
    ...recoveryOf(),
    tries: { g1: { count: at.length, notBeforeMs: 0, at, error } },
  });
  const only = scene({ guests: [guest('g1', 'a')] });
  assert.equal(stepOf(tried(['b']), only).moves.length, 1);
  const { request, moves } = stepOf(tried(['b', 'c']), only);
  assert.deepEqual([moves, request.phase], [[], 'left']);
  assert.match(request.stays[0]?.words ?? '', /opens vda: x.*--insist g1=0f3c9a5e21b7d846/);
});
