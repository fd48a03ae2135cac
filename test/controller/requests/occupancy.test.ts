import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { GuestFacts } from '../../../src/controller/requests/facts.ts';
import type { HostHeard } from '../../../src/controller/requests/occupancy.ts';
import { rollStep } from '../../../src/controller/requests/roll.ts';
import { step, type StepInput, type StepOutput } from '../../../src/controller/requests/step.ts';
import type { FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { drainOf, guest, host, NOW, world } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));
const empty: HostHeard = { of: 'host', occupancy: { guests: [], underWay: [] } };
const underWay = [{ guest: 'db1', migration: 'm-00000009', from: 'a', to: 'b' }];
const coming: HostHeard = { of: 'host', occupancy: { guests: [], underWay } };

function stepOf(
  request: FleetRequest,
  heard?: Readonly<Record<string, HostHeard>>,
  guests: readonly GuestFacts[] = [],
): StepOutput {
  const input: StepInput = {
    request,
    moves: [],
    sights: new Map(),
    world: world({ hosts, guests }),
    cancel: 'no',
    epoch: 3,
    ids: ['m-00000011'],
    occupancies: heard === undefined ? undefined : new Map(Object.entries(heard)),
  };
  return request.ask.kind === 'roll' ? rollStep({ ...input, heard: undefined }) : step(input);
}

test('a drain of a host without listed guests asks the host, and is done only on its own answer', () => {
  const asked = stepOf(drainOf('b'));
  assert.equal(asked.request.phase, 'working');
  assert.deepEqual(asked.asks, ['b']);
  const done = stepOf(drainOf('b'), { b: empty });
  assert.equal(done.request.phase, 'done');
  assert.deepEqual(done.asks, []);
});

test('a drain stays open while its host admits a guest that no list has, and names the migration', () => {
  const { request } = stepOf(drainOf('b'), { b: coming });
  assert.equal(request.phase, 'working');
  assert.deepEqual(
    request.queue.map(({ guest: name, from, to, waitsFor }) => [name, from, to, waitsFor]),
    [['db1', 'a', 'b', 'other-move']],
  );
  assert.match(request.queue[0]?.words ?? '', /m-00000009 moves it from a to b/);
});

test('a drain stays open while its host has a guest that no list has', () => {
  const there: HostHeard = { of: 'host', occupancy: { guests: ['db1'], underWay: [] } };
  const { request } = stepOf(drainOf('b'), { b: there });
  assert.equal(request.phase, 'working');
  assert.deepEqual([request.queue[0]?.guest, request.queue[0]?.from], ['db1', 'b']);
});

test('a host that does not answer is not empty', () => {
  const { request } = stepOf(drainOf('b'), { b: { of: 'silent', words: 'no answer within 15 s' } });
  assert.equal(request.phase, 'working');
  assert.match(request.words, /b does not confirm that it is empty: no answer within 15 s/);
});

test('a drain with guests that stay is left only once its host reports no other guest', () => {
  const stays = [guest('g1', 'b', { at: [{ host: 'b', state: 'stopped' }] })];
  const one: HostHeard = { of: 'host', occupancy: { guests: ['g1'], underWay: [] } };
  const two: HostHeard = { of: 'host', occupancy: { guests: ['db1', 'g1'], underWay: [] } };
  assert.deepEqual(stepOf(drainOf('b'), undefined, stays).asks, ['b']);
  assert.equal(stepOf(drainOf('b'), { b: two }, stays).request.phase, 'working');
  const left = stepOf(drainOf('b'), { b: one }, stays).request;
  assert.deepEqual([left.phase, left.stays.length], ['left', 1]);
});

test('a guest that its host reports on the way in, by whichever mover, keeps a drain open', () => {
  const moved = guest('db1', 'a', { migration: 'm-00000009', movingTo: 'b' });
  const { request, asks } = stepOf(drainOf('b'), undefined, [moved]);
  assert.equal(request.phase, 'working');
  assert.deepEqual(asks, []);
  assert.deepEqual([request.queue[0]?.guest, request.queue[0]?.to], ['db1', 'b']);
});

test('an evacuation is done once each of its hosts has answered', () => {
  const request = drainOf('a', { kind: 'evacuate', hosts: ['a', 'b'] });
  const marks = new Map(['a', 'b'].map((name) => [name, { host: name, drainingFor: request.id }]));
  const now = world({ hosts, guests: [], marks });
  const input = { request, moves: [], sights: new Map(), world: now, epoch: 3, ids: [] } as const;
  const of = (heard: readonly [string, HostHeard][]): StepOutput =>
    step({ ...input, cancel: 'no', occupancies: new Map(heard) });
  assert.deepEqual(of([]).asks, ['a', 'b']);
  assert.deepEqual(of([['a', empty]]).asks, ['b']);
  const both = of([
    ['a', empty],
    ['b', coming],
  ]);
  assert.deepEqual([both.request.phase, both.asks], ['working', []]);
  const all = of([
    ['a', empty],
    ['b', empty],
  ]);
  assert.equal(all.request.phase, 'done');
});

test('the program of a roll does not run for a host that has not confirmed that it is empty', () => {
  const request = drainOf('a', { kind: 'roll', hosts: ['a', 'b'], run: 'upgrade' });
  const rolling = (stage: 'draining' | 'noting'): FleetRequest => ({
    ...request,
    roll: { at: 0, stage, sinceMs: NOW, away: [] },
  });
  assert.deepEqual(stepOf(rolling('draining')).asks, ['a']);
  assert.equal(stepOf(rolling('draining'), { a: coming }).request.roll?.stage, 'draining');
  assert.equal(stepOf(rolling('draining'), { a: empty }).request.roll?.stage, 'noting');
  assert.equal(stepOf(rolling('noting'), { a: coming }).request.roll?.stage, 'draining');
});

test('a cancelled drain asks no host', () => {
  const now = world({ hosts, guests: [] });
  const input = { moves: [], sights: new Map(), world: now, epoch: 3, ids: [] } as const;
  const { request, asks } = step({ ...input, request: drainOf('b'), cancel: 'let-run' });
  assert.deepEqual([request.phase, asks], ['cancelled', []]);
});

test('no answer of a host with a guest, and no silence, ends a drain as done', () => {
  const answer = fc.oneof(
    fc.record({
      of: fc.constant('host' as const),
      occupancy: fc.record({
        guests: fc.array(fc.constantFrom('g1', 'g2'), { maxLength: 2 }),
        underWay: fc.array(fc.constantFrom(...underWay), { maxLength: 1 }),
      }),
    }),
    fc.constant({ of: 'silent' as const, words: 'silence' }),
  );
  const listed = fc.array(fc.constantFrom('g1', 'g2'), { maxLength: 2 });
  fc.assert(
    fc.property(fc.option(answer, { nil: undefined }), listed, (heard, names) => {
      const guests = [...new Set(names)].map((name) => guest(name, 'c'));
      const given = heard === undefined ? undefined : { b: heard };
      const { request } = stepOf(drainOf('b'), given, guests);
      if (request.phase !== 'done') return;
      assert.ok(heard?.of === 'host', 'done without an answer');
      const { guests: there, underWay: moving } = heard.occupancy;
      assert.equal(there.length + moving.length, 0);
    }),
  );
});
