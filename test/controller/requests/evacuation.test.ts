import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../src/errors.ts';
import { checkSites } from '../../../src/controller/requests/evacuation.ts';
import type { SiteLink } from '../../../src/controller/site-map.ts';
import { previewOf, storedWorld } from '../../../src/controller/requests/preview.ts';
import { step, type StepOutput } from '../../../src/controller/requests/step.ts';
import type {
  Move,
  FleetRequest,
  FleetRequestAsk,
} from '../../../src/protocol/controller/fleet-request.ts';
import { answersOf, drainOf, GIB, guest, host, NOW, world, type Fleet } from './worlds.ts';

/** 100 Mbit/s: a guest of 1 GiB takes about 87 s. */
const LINE: SiteLink = {
  between: ['s1', 's2'],
  bytesPerS: 12_500_000,
  roundTripMs: 50,
  costPerGb: 0.1,
};
const hosts = [host('a', { site: 's1' }), host('b', { site: 's2', memoryBytes: 8 * GIB })];
const names = ['g1', 'g2', 'g3', 'g4', 'g5', 'g6'];
const guests = names.map((name) => guest(name, 'a'));
const labels = Object.fromEntries(
  names.map((name, place) => [name, { 'godwit/priority': String(place * 10) }]),
);
const ASK = { kind: 'evacuate', hosts: ['a'], to: ['b'], sites: { from: 's1', to: 's2' } } as const;

const evacuationOf = (more: Partial<FleetRequestAsk> = {}): FleetRequest =>
  drainOf('a', { ...ASK, hosts: ['a'], to: ['b'], ...more });
const worldOf = (request: FleetRequest, more: Partial<Fleet> = {}) =>
  storedWorld(request, world({ hosts, guests, labels, siteLinks: [LINE], ...more }));

const stepped = (
  request: FleetRequest,
  moves: readonly Move[],
  more: Partial<Fleet> = {},
  sights: ReadonlyMap<string, { readonly seen: 'done' | 'failed' }> = new Map(),
): StepOutput => {
  const ids = ['m-00000001', 'm-00000002'];
  const now = worldOf(request, more);
  const given = { request, moves, sights, world: now, cancel: 'no', ids } as const;
  return step({ ...given, epoch: 1, occupancies: answersOf(now) });
};

test('an evacuation by a deadline names the leaving guests, in the order of the labels, and the remaining ones', () => {
  const request = evacuationOf({ deadlineAtMs: NOW + 300_000 });
  const { steps, stays, line } = previewOf(request, worldOf(request));
  assert.deepEqual(
    steps.map((each) => [each.guest, each.to, each.how]),
    [
      ['g6', 'b', 'precopy'],
      ['g5', 'b', 'precopy'],
      ['g4', 'b', 'precopy'],
    ],
  );
  assert.deepEqual(
    stays.map((each) => each.guest),
    ['g1', 'g2', 'g3'],
  );
  assert.match(stays[0]?.words ?? '', /needs .* for 1 GiB at .*; .* are left/);
  assert.equal(line?.bytes, 3 * GIB);
  assert.ok(Math.abs((line?.cost ?? 0) - 0.322) < 0.001);
});

test('measurements before the start decide how many guests leave in time', () => {
  const sizes = Object.fromEntries(names.map((name) => [name, { precopyBytes: GIB / 4 }]));
  const request = { ...evacuationOf({ deadlineAtMs: NOW + 100_000 }), sizes };
  assert.deepEqual(
    previewOf(request, worldOf(request)).steps.map((each) => [each.guest, each.bytes]),
    ['g6', 'g5', 'g4', 'g3'].map((name) => [name, GIB / 4]),
  );
});

test('the most important guests get the memory if the other site has too little', () => {
  const small = [host('a', { site: 's1' }), host('b', { site: 's2', memoryBytes: 2 * GIB })];
  const request = evacuationOf();
  const { steps } = previewOf(request, worldOf(request, { hosts: small }));
  assert.deepEqual(
    steps.map((each) => each.guest),
    ['g6', 'g5'],
  );
});

test('one move begins at a time over a thin line, with twice its time to end', () => {
  const { moves } = stepped(evacuationOf(), []);
  assert.deepEqual(
    moves.map((each) => [each.guest, each.bytes]),
    [['g6', GIB]],
  );
  assert.ok((moves[0]?.settings.timeoutMs ?? 0) >= 170_000);
});

test('no move begins that would exceed the budget after the bytes that are already sent', () => {
  const request = evacuationOf({ budgetBytes: 3 * GIB });
  const begun = (spentBytes: number): string[] =>
    stepped(request, [], { spentBytes }).moves.map((each) => each.guest);
  assert.deepEqual(begun(2 * GIB), ['g6']);
  assert.deepEqual(begun(2 * GIB + 1), []);
});

test('an evacuation is over once nothing fits any more, and the remaining guests are named', () => {
  const { request } = stepped(evacuationOf({ deadlineAtMs: NOW + 10_000 }), []);
  assert.equal(request.phase, 'left');
  assert.equal(request.stays.length, 6);
  assert.match(request.stays[0]?.words ?? '', /before the deadline/);
});

test('an evacuation is planned again as it proceeds: a late move takes the time of the last ones', () => {
  const request = evacuationOf({ deadlineAtMs: NOW + 300_000 });
  const first = stepped(request, []);
  const [running] = first.moves;
  assert.ok(running);
  assert.deepEqual(
    first.request.order.map((each) => each.guest),
    ['g5', 'g4'],
  );
  const open: Move = { ...running, phase: 'running' };
  const reserved = {
    reservations: [
      { move: open.id, request: request.id, guest: 'g6', host: 'b', source: 'a', memoryBytes: GIB },
    ],
  };
  const later = stepped(first.request, [open], { ...reserved, nowMs: NOW + 130_000 });
  assert.deepEqual(
    later.request.order.map((each) => each.guest),
    ['g5'],
  );
  assert.match(later.request.refused['g4'] ?? '', /are left for it before the deadline/);
});

test('an impossible evacuation of a site is refused with a remedy', () => {
  const refusal = (more: Partial<FleetRequestAsk>, fleet: Partial<Fleet> = {}): string => {
    const request = evacuationOf(more);
    try {
      checkSites(request.ask, worldOf(request, fleet));
    } catch (thrown) {
      if (hasCode(thrown, 'GODWIT_USAGE')) return thrown.message;
      throw thrown;
    }
    return 'it was taken';
  };
  assert.equal(refusal({}), 'it was taken');
  assert.match(
    refusal({ deadlineAtMs: NOW - 180_000 }),
    /2027-01-15T07:57:00.000Z was 3 min 00 s before 2027-01-15T08:00:00.000Z/,
  );
  assert.match(refusal({}, { siteLinks: [] }), /no line between s1 and s2/);
  assert.match(refusal({ sites: { from: 's2', to: 's1' } }), /a is at s1; this goes from s2 to s1/);
  assert.match(refusal({ kind: 'drain' }), /a drain is not from a site/);
  assert.match(refusal({}, { hosts: [host('a', { site: 's1' }), host('b')] }), /b names no site/);
});

test('an evacuation continues while the other site is silent, and ends at its deadline', () => {
  const request = evacuationOf({ deadlineAtMs: NOW + 8 * 3_600_000 });
  const away = host('b', { site: 's2', memoryBytes: 8 * GIB, silentSinceMs: NOW - 1000 });
  const silent = stepped(request, [], { hosts: [host('a', { site: 's1' }), away] });
  assert.equal(silent.request.phase, 'working');
  assert.deepEqual(silent.moves, []);
  assert.ok(stepped(silent.request, []).moves.length > 0);
  const late = evacuationOf({ deadlineAtMs: NOW - 1 });
  const over = stepped(late, [], { hosts: [host('a', { site: 's1' }), away] });
  assert.equal(over.request.phase, 'left');
});
