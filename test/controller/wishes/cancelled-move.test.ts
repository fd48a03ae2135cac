import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GuestFacts } from '../../../src/controller/wishes/facts.ts';
import { step, type StepInput, type StepOutput } from '../../../src/controller/wishes/step.ts';
import { godwitError } from '../../../src/errors.ts';
import { wish as wishShape, type Wish } from '../../../src/protocol/controller/wish.ts';
import { answersOf, drainOf, guest, host, moveOf, world } from './worlds.ts';

const hosts = ['a', 'b', 'c'].map((name) => host(name));
const cancelledError = godwitError('GODWIT_CANCELLED', { guest: 'g1', host: 'a' }).toJSON();

function stepWith(
  wish: Wish,
  { guests }: { readonly guests: readonly GuestFacts[] },
  more: Partial<StepInput> = {},
): StepOutput {
  const now = world({ hosts, guests });
  const input = { wish, moves: [], sights: new Map(), world: now, cancel: 'no', epoch: 3 } as const;
  return step({ ...input, ids: ['m-00000011'], occupancies: answersOf(now), ...more });
}

test('a move that a person cancels is not repeated: its guest stays, and the drain names why', () => {
  const guests = [guest('g1', 'a')];
  const first = stepWith(drainOf('a'), { guests });
  const [begun] = first.moves;
  const seen = (what: 'going' | 'cancelled') =>
    new Map([[begun?.id ?? '', { seen: what, error: cancelledError }]]);
  // While it is rolled back, its agent reports the reason already.
  const undoing = stepWith(first.wish, { guests }, { moves: first.moves, sights: seen('going') });
  const last = { moves: undoing.moves, sights: seen('cancelled') };
  const next = stepWith(undoing.wish, { guests }, last);
  assert.deepEqual(
    next.moves.map(({ phase }) => phase),
    ['cancelled'],
  );
  assert.equal(next.wish.phase, 'left');
  assert.deepEqual(next.wish.stays, [
    { guest: 'g1', host: 'a', words: `its move ${begun?.id} was cancelled` },
  ]);
  assert.ok(wishShape.safeParse(next.wish).success);
});

test('a migration whose only move a person cancels is cancelled', () => {
  const guests = [guest('g1', 'a')];
  const wish = drainOf('a', { kind: 'migration', guest: 'g1', hosts: [], to: ['b'] });
  const first = stepWith(wish, { guests });
  const [begun] = first.moves;
  const sights = new Map([[begun?.id ?? '', { seen: 'cancelled' as const }]]);
  const next = stepWith(first.wish, { guests }, { moves: first.moves, sights });
  assert.deepEqual([next.wish.phase, next.moves.length], ['cancelled', 1]);
});

test('a move that the engine withdraws after a refusal is tried again, and counts as cancelled by nobody', () => {
  const guests = [guest('g1', 'a')];
  const error = godwitError('GODWIT_OVERLOADED', { what: 'a', limit: 4 }).toJSON();
  const chosen = moveOf({ phase: 'chosen' });
  const seen = (what: 'refused' | 'going' | 'cancelled') =>
    new Map([[chosen.id, { seen: what, error }]]);
  const refused = stepWith(drainOf('a'), { guests }, { moves: [chosen], sights: seen('refused') });
  // It had begun after all, and is rolled back.
  const going = stepWith(refused.wish, { guests }, { moves: refused.moves, sights: seen('going') });
  const last = { moves: going.moves, sights: seen('cancelled') };
  const { wish } = stepWith(going.wish, { guests }, last);
  assert.equal(wish.phase, 'working');
  assert.equal(wish.tries['g1']?.cancelled, undefined);
});
