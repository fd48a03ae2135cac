import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { GuestFacts } from '../../../src/controller/requests/facts.ts';
import { SEEN } from '../../../src/controller/requests/moves.ts';
import {
  reservationOf,
  step,
  type StepInput,
  type StepOutput,
} from '../../../src/controller/requests/step.ts';
import {
  isRequestEnd,
  MAX_GUESTS,
  fleetRequest as requestShape,
  requestAsk,
  type FleetRequest,
} from '../../../src/protocol/controller/fleet-request.ts';
import { answersOf, drainOf, guest, host, moveOf, NOW, world, type Fleet } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));
const ids = ['m-00000011', 'm-00000012', 'm-00000013', 'm-00000014', 'm-00000015'];

function stepOf(
  request: FleetRequest,
  fleet: Partial<Fleet>,
  more: Partial<StepInput> = {},
): StepOutput {
  const now = world({ hosts, guests: [], ...fleet });
  const input = {
    request,
    moves: [],
    sights: new Map(),
    world: now,
    cancel: 'no',
    epoch: 3,
    ids,
    occupancies: answersOf(now),
  } as const;
  return step({ ...input, ...more });
}

test('a drain begins the moves of its plan, and each of them is stored before any host is asked', () => {
  const { request, moves } = stepOf(drainOf('a'), { guests: [guest('g1', 'a'), guest('g2', 'a')] });
  assert.equal(request.phase, 'working');
  assert.ok(moves.length > 0 && moves.length + request.queue.length === 2);
  assert.ok(moves.every((each) => each.phase === 'chosen' && each.askedEpoch === 3));
  assert.ok(moves.every((each) => reservationOf(each)?.source === 'a'));
});

test('the next move starts in the same step in which one ends', () => {
  const guests = [guest('g1', 'a'), guest('g2', 'a')];
  const first = stepOf(drainOf('a', { maxParallel: 1 }), { guests });
  assert.equal(first.moves.length, 1);
  assert.equal(first.request.queue[0]?.waitsFor, 'request-limit');
  assert.ok((first.request.queue[0]?.startsAtMs ?? 0) > NOW);
  const [begun] = first.moves;
  const next = stepOf(
    first.request,
    { guests },
    {
      moves: first.moves,
      sights: new Map([[begun?.id ?? '', { seen: 'done' }]]),
      ids: ids.slice(3),
    },
  );
  assert.deepEqual(
    next.moves.map(({ phase }) => phase),
    ['done', 'chosen'],
  );
});

test('a drain is never done while a guest is there, however its moves ended', () => {
  const states = fc.constantFrom('running', 'paused', 'incoming', 'stopped', 'unknown');
  const fleets = fc.record({
    guests: fc.array(fc.record({ at: fc.constantFrom('a', 'b', 'b', 'c'), state: states }), {
      maxLength: 3,
    }),
    silent: fc.constantFrom(true, false, false),
    seen: fc.option(fc.constantFrom(...SEEN), { nil: undefined, freq: 1 }),
    cancel: fc.constantFrom('no' as const, 'no' as const, 'let-run' as const, 'roll-back' as const),
  });
  let done = 0;
  fc.assert(
    fc.property(fleets, ({ guests, silent, seen, cancel }) => {
      const all = guests.map(({ at, state }, place): GuestFacts =>
        guest(`g${place}`, at, { at: [{ host: at, state }] }),
      );
      const now = silent ? [host('a', { silentSinceMs: NOW - 1 }), ...hosts.slice(1)] : hosts;
      const moves = seen === undefined ? [] : [moveOf({ guest: 'g0' })];
      const sights = new Map(seen === undefined ? [] : [['m-00000001', { seen }]]);
      const { request } = stepOf(
        drainOf('a'),
        { hosts: now, guests: all },
        { moves, sights, cancel },
      );
      if (request.phase !== 'done') return;
      done += 1;
      assert.ok(!silent && cancel === 'no');
      assert.ok(all.every(({ at }) => at.every((each) => each.host !== 'a')));
    }),
    { numRuns: 300 },
  );
  assert.ok(done > 0);
});

test('a silent host is not empty, and the message has the time of its last answer', () => {
  const now = [host('a', { silentSinceMs: NOW - 90_000 }), ...hosts.slice(1)];
  const { request } = stepOf(drainOf('a'), { hosts: now });
  assert.equal(request.phase, 'working');
  assert.match(request.words, /a is silent for 1 min 30 s/);
  const never = stepOf(drainOf('x'), {});
  assert.match(never.request.words, /nothing was heard of x yet/);
});

test('remaining guests are named with their reasons, and then the drain is left, not done', () => {
  const guests = [
    guest('pinned', 'a'),
    guest('usb', 'a', { unmovable: ['device usb0 is passed through'] }),
    guest('off', 'a', { at: [{ host: 'a', state: 'stopped' }] }),
    guest('vm', 'a', { manager: 'pve' }),
  ];
  const labels = { pinned: { 'godwit/never-move': 'true' } };
  const { request, moves } = stepOf(drainOf('a'), { guests, labels });
  assert.equal(request.phase, 'left');
  assert.deepEqual(moves, []);
  assert.deepEqual(
    request.stays.map((each) => each.guest),
    ['pinned', 'usb', 'off', 'vm'],
  );
  assert.match(request.words, /4 guests stay where they are/);
});

test('a guest that two hosts claim is not touched, and both hosts are named', () => {
  const both = guest('g1', 'a', {
    at: [
      { host: 'a', state: 'running' },
      { host: 'b', state: 'running' },
    ],
  });
  const { request, moves } = stepOf(drainOf('a'), { guests: [both] });
  assert.deepEqual(moves, []);
  assert.equal(request.queue[0]?.waitsFor, 'two-hosts');
  assert.match(request.queue[0]?.words ?? '', /a and b both say/);
});

test('a move that fails is tried elsewhere, a bounded number of times, and then the guest stays', () => {
  let request = drainOf('a');
  const went: string[] = [];
  let nowMs = NOW;
  for (let turn = 0; turn < 20 && !isRequestEnd(request.phase); turn += 1) {
    const fleet = { guests: [guest('g1', 'a')], nowMs };
    const begun = stepOf(request, fleet);
    const [move] = begun.moves;
    request = begun.request;
    nowMs += 10_000;
    if (move === undefined) continue;
    went.push(move.to);
    const sights = new Map([[move.id, { seen: 'failed' as const }]]);
    request = stepOf(request, { ...fleet, nowMs }, { moves: begun.moves, sights, ids: [] }).request;
  }
  assert.equal(went.length, 3);
  assert.notEqual(went[0], went[1]);
  assert.equal(request.phase, 'left');
  assert.match(request.stays[0]?.words ?? '', /tried 3 times/);
});

test('after a cancel nothing begins, no move comes back, and chosen moves are withdrawn', () => {
  const guests = [guest('g1', 'a'), guest('g2', 'a')];
  const chosen = moveOf({ phase: 'chosen', askedEpoch: 2 });
  const first = stepOf(drainOf('a'), { guests }, { moves: [chosen], cancel: 'let-run' });
  assert.deepEqual(
    [first.request.phase, first.moves.map(({ phase }) => phase)],
    ['cancelling', ['withdrawing']],
  );
  const sights = new Map([[chosen.id, { seen: 'unknown' as const }]]);
  const last = stepOf(first.request, { guests }, { moves: first.moves, sights, cancel: 'let-run' });
  assert.deepEqual(
    [last.request.phase, last.moves.map(({ phase }) => phase)],
    ['cancelled', ['dropped']],
  );
  const again = stepOf(last.request, { guests }, { cancel: 'let-run' });
  assert.deepEqual(again.request, last.request);
});

test('the room of a completed move is kept until its guest is seen at the destination', () => {
  const moves = [moveOf()];
  const sights = new Map([['m-00000001', { seen: 'done' as const }]]);
  const before = stepOf(drainOf('a'), { guests: [guest('g1', 'a')] }, { moves, sights });
  const [kept] = before.moves;
  assert.deepEqual([kept?.phase, kept?.settled], ['done', false]);
  assert.equal(reservationOf(kept ?? moveOf())?.source, undefined);
  const after = stepOf(before.request, { guests: [guest('g1', 'b')] }, { moves: before.moves });
  assert.deepEqual([after.request.phase, after.moves[0]?.settled], ['done', true]);
  assert.equal(after.request.moved, 1);
});

test('a migration request moves one guest to the named host, and is done when it is there', () => {
  const ask = { kind: 'migration' as const, hosts: [], guest: 'g1', to: ['c'] };
  const request = drainOf('a', ask);
  const { moves } = stepOf(request, { guests: [guest('g1', 'a')] });
  assert.deepEqual(
    moves.map(({ to }) => to),
    ['c'],
  );
  assert.equal(stepOf(request, { guests: [guest('g1', 'c')] }).request.phase, 'done');
});

test("a drain waits for a guest that another request's move brings, before the host lists it", () => {
  const brought = moveOf({ id: 'm-00000099', request: 'r-00000002', from: 'a', to: 'b' });
  const reservations = [reservationOf(brought) ?? assert.fail()];
  const { request } = stepOf(drainOf('b'), { guests: [guest('g1', 'a')], reservations });
  assert.equal(request.phase, 'working');
  assert.deepEqual(
    request.queue.map(({ guest: name, from, waitsFor, words }) => [name, from, waitsFor, words]),
    [['g1', 'a', 'other-move', 'm-00000099 brings it']],
  );
  const open = { ...brought, request: 'r-00000001' };
  assert.deepEqual(
    stepOf(drainOf('a'), { guests: [guest('g1', 'a')] }, { moves: [open] }).request.queue,
    [],
  );
});

test('the result of each step can be stored and read again', () => {
  const text = fc.constantFrom('usb0', 'x'.repeat(9000));
  const given = fc.record({
    unmovable: fc.array(text, { maxLength: 2 }),
    label: text,
    message: text,
    count: fc.constantFrom(0, 3),
  });
  fc.assert(
    fc.property(given, ({ unmovable, label, message, count }) => {
      const error = { code: 'GODWIT_INTERNAL', hint: '', retryable: false, facts: {} } as const;
      const past = {
        count,
        notBeforeMs: NOW,
        at: [],
        error: { ...error, message: message.slice(0, 8192) },
      };
      const asked = { ...drainOf('a'), tries: { g1: past } };
      const guests = [
        guest('g1', 'a', { unmovable }),
        guest('g2', 'a'),
        guest('g3', 'a', { memoryBytes: 2 ** 50 }),
      ];
      const labels = { g2: { 'godwit/window': label } };
      const { request } = stepOf(asked, { guests, labels });
      const { stays, queue, words } = requestShape.parse(JSON.parse(JSON.stringify(request)));
      assert.deepEqual([stays, queue, words], [request.stays, request.queue, request.words]);
    }),
  );
});

test('a list of more guests than can be read again is cut, and the message counts the rest', () => {
  const at = (state: 'stopped' | 'incoming') => [{ host: 'a', state }];
  const many = (state: 'stopped' | 'incoming') =>
    Array.from({ length: MAX_GUESTS + 2 }, (_, nth) =>
      guest(`${state}${nth}`, 'a', { at: at(state) }),
    );
  const { request } = stepOf(drainOf('a'), { guests: [...many('stopped'), ...many('incoming')] });
  assert.match(request.words, /^2 waiting are not listed, 2 staying are not listed, 10002 waiting/);
  assert.deepEqual(requestShape.parse(request).queue, request.queue);
});

test('a guest with the name of a built-in object property is moved like any other', () => {
  const { moves, request } = stepOf(drainOf('a'), { guests: [guest('constructor', 'a')] });
  assert.deepEqual(request.stays, []);
  assert.deepEqual(
    moves.map(({ guest: name, attempt }) => [name, attempt]),
    [['constructor', 1]],
  );
});

test('a label for downtime tightens the requested limit, and never loosens it', () => {
  const labels = { g1: { 'godwit/max-downtime': '500ms' } };
  const downtime = (asked: number): number | undefined => {
    const request = drainOf('a', { settings: { maxDowntimeMs: asked } });
    return stepOf(request, { guests: [guest('g1', 'a')], labels }).moves[0]?.settings.maxDowntimeMs;
  };
  assert.deepEqual([downtime(100), downtime(900)], [100, 500]);
  // Nobody asked for one: the usual one is none that was asked.
  const ask = requestAsk.parse({ kind: 'drain', hosts: ['a'] });
  const { moves } = stepOf(drainOf('a', ask), { guests: [guest('g1', 'a')], labels });
  assert.equal(moves[0]?.settings.maxDowntimeMs, 500);
});

test('a move that no host can be asked about ends where its guest is seen', () => {
  const old = moveOf({ createdAtMs: NOW - 120_000 });
  const phaseOf = (seen: 'unknown' | 'silent', fleet: Partial<Fleet>) => {
    const sights = new Map([[old.id, { seen }]]);
    const [move] = stepOf(drainOf('a'), fleet, { moves: [old], sights, ids: [] }).moves;
    return [move?.phase, move?.error?.code];
  };
  const incoming = guest('g1', 'b', { at: [{ host: 'b', state: 'incoming' }] });
  const without = { hosts: hosts.filter(({ name }) => name !== 'a') };
  const lost = ['lost', 'GODWIT_MIGRATION_UNKNOWN'];
  assert.deepEqual(phaseOf('unknown', {}), lost);
  assert.deepEqual(phaseOf('unknown', { guests: [incoming] }), ['running', undefined]);
  assert.deepEqual(phaseOf('silent', {}), ['running', undefined]);
  assert.deepEqual(phaseOf('silent', without), lost);
  assert.deepEqual(phaseOf('silent', { ...without, guests: [incoming] }), ['running', undefined]);
  assert.deepEqual(phaseOf('silent', { ...without, guests: [guest('g1', 'b')] }), [
    'done',
    undefined,
  ]);
});
