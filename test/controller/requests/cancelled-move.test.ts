import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestFacts } from '../../../src/controller/requests/facts.ts';
import { step, type StepInput, type StepOutput } from '../../../src/controller/requests/step.ts';
import { godwitError } from '../../../src/errors.ts';
import {
  fleetRequest as requestShape,
  type FleetRequest,
} from '../../../src/protocol/controller/fleet-request.ts';
import { answersOf, drainOf, guest, host, moveOf, world } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));
const cancelledError = godwitError('GODWIT_CANCELLED', { guest: 'g1', host: 'a' }).toJSON();

function stepWith(
  request: FleetRequest,
  { guests }: { readonly guests: readonly GuestFacts[] },
  more: Partial<StepInput> = {},
): StepOutput {
  const now = world({ hosts, guests });
  const input = {
    request,
    moves: [],
    sights: new Map(),
    world: now,
    cancel: 'no',
    epoch: 3,
  } as const;
  return step({ ...input, ids: ['m-00000011'], occupancies: answersOf(now), ...more });
}

test('a move that a person cancels is not repeated: its guest stays, and the drain gives the reason', () => {
  const guests = [guest('g1', 'a')];
  const first = stepWith(drainOf('a'), { guests });
  const [begun] = first.moves;
  const seen = (what: 'going' | 'cancelled') =>
    new Map([[begun?.id ?? '', { seen: what, error: cancelledError }]]);
  // While it is rolled back, its agent reports the reason already.
  const undoing = stepWith(
    first.request,
    { guests },
    { moves: first.moves, sights: seen('going') },
  );
  const last = { moves: undoing.moves, sights: seen('cancelled') };
  const next = stepWith(undoing.request, { guests }, last);
  assert.deepEqual(
    next.moves.map(({ phase }) => phase),
    ['cancelled'],
  );
  assert.equal(next.request.phase, 'left');
  assert.deepEqual(next.request.stays, [
    { guest: 'g1', host: 'a', words: `its move ${begun?.id} was cancelled` },
  ]);
  assert.ok(requestShape.safeParse(next.request).success);
});

test('a migration whose only move a person cancels is cancelled', () => {
  const guests = [guest('g1', 'a')];
  const request = drainOf('a', { kind: 'migration', guest: 'g1', hosts: [], to: ['b'] });
  const first = stepWith(request, { guests });
  const [begun] = first.moves;
  const sights = new Map([[begun?.id ?? '', { seen: 'cancelled' as const }]]);
  const next = stepWith(first.request, { guests }, { moves: first.moves, sights });
  assert.deepEqual([next.request.phase, next.moves.length], ['cancelled', 1]);
});

test('a move that the engine withdraws after a refusal is tried again, and does not count as cancelled by a person', () => {
  const guests = [guest('g1', 'a')];
  const error = godwitError('GODWIT_OVERLOADED', { what: 'a', limit: 4 }).toJSON();
  const chosen = moveOf({ phase: 'chosen' });
  const seen = (what: 'refused' | 'going' | 'cancelled') =>
    new Map([[chosen.id, { seen: what, error }]]);
  const refused = stepWith(drainOf('a'), { guests }, { moves: [chosen], sights: seen('refused') });
  // It had begun after all, and is rolled back.
  const going = stepWith(
    refused.request,
    { guests },
    { moves: refused.moves, sights: seen('going') },
  );
  const last = { moves: going.moves, sights: seen('cancelled') };
  const { request } = stepWith(going.request, { guests }, last);
  assert.equal(request.phase, 'working');
  assert.equal(request.tries['g1']?.cancelled, undefined);
});
