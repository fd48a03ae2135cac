import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { departureOf, departures, nextEpoch } from '../../src/agent/guest-moves.ts';
import type { Migration } from '../../src/agent/migrations/store.ts';

type Store = Parameters<typeof departureOf>[0];
type RunsAt = ReturnType<Store['runsAt']>;

const CREATED = Date.parse('2026-11-29T10:00:00Z');

interface Move {
  readonly id: string;
  readonly side: 'source' | 'destination';
  readonly epoch?: number;
  readonly runsAt: RunsAt;
  readonly lifecycle?: 'managed';
  readonly isOpen?: boolean;
}

/** A host `a` that has these migrations of web1, each of which took 5 s. */
function storeOf(...moves: Move[]): Store {
  const all = moves.map(({ id, side, epoch, lifecycle }) => {
    const [from, to] = side === 'source' ? ['a', 'b'] : ['b', 'a'];
    const common = {
      id,
      side,
      fromHost: from,
      toHost: to,
      createdAt: new Date(CREATED).toISOString(),
    };
    const request =
      side === 'source'
        ? {
            ...common,
            version: lifecycle === undefined ? 1 : 2,
            epoch,
            uuid: 'u-1',
            request: { guest: 'web1' },
            handle: { driver: 'qemu' },
          }
        : { ...common, version: 1, admission: { guest: 'web1', epoch } };
    return { id, dir: '', request } as unknown as Migration;
  });
  const of = (id: string): Move | undefined => moves.find((each) => each.id === id);
  return {
    all: () => all,
    isEnded: (id) => of(id)?.isOpen !== true,
    runsAt: (id) => of(id)?.runsAt ?? 'unknown',
    progress: () => ({ elapsedMs: 5000 }) as ReturnType<Store['progress']>,
  };
}

describe('departed guests', () => {
  test('a guest is left by its newest completed move', () => {
    const store = storeOf(
      { id: 'm-1', side: 'destination', epoch: 7, runsAt: 'destination' },
      { id: 'm-2', side: 'source', epoch: 8, runsAt: 'destination' },
      { id: 'm-3', side: 'destination', epoch: 9, runsAt: 'source' },
    );
    assert.partialDeepStrictEqual(departureOf(store, 'web1'), {
      name: 'web1',
      host: 'a',
      uuid: 'u-1',
      state: 'unknown',
      migration: 'm-2',
      moving: { from: 'a', to: 'b', runsAt: 'destination', epoch: 8 },
    });
  });

  test('a guest has not left if it came here last or if its move failed', () => {
    const came = storeOf(
      { id: 'm-1', side: 'source', epoch: 7, runsAt: 'destination' },
      { id: 'm-2', side: 'destination', epoch: 8, runsAt: 'destination' },
    );
    assert.equal(departureOf(came, 'web1'), undefined);
    const failed = storeOf({ id: 'm-1', side: 'source', epoch: 7, runsAt: 'source' });
    assert.equal(departureOf(failed, 'web1'), undefined);
  });

  test('a guest has left if its manager took it away in the middle of a move', () => {
    const move = { id: 'm-1', side: 'source', epoch: 7, runsAt: 'unknown', isOpen: true } as const;
    assert.equal(departureOf(storeOf({ ...move, lifecycle: 'managed' }), 'web1')?.migration, 'm-1');
    assert.equal(departureOf(storeOf(move), 'web1'), undefined);
  });

  test('a departed guest is listed for a minute unless it is here', () => {
    const store = storeOf({ id: 'm-1', side: 'source', epoch: 7, runsAt: 'destination' });
    const listed = (afterMs: number, here: string[] = []): string[] =>
      departures(store, new Set(here), CREATED + 5000 + afterMs).map(({ name }) => name);
    assert.deepEqual([listed(59_000), listed(61_000), listed(0, ['web1'])], [['web1'], [], []]);
  });
});

test('the epoch of the next move is above all earlier ones, even if the clock was set back', () => {
  const store = storeOf({ id: 'm-1', side: 'destination', epoch: 5000, runsAt: 'source' });
  assert.deepEqual([nextEpoch(store, 'web1', 9000), nextEpoch(store, 'web1', 40)], [9000, 5001]);
  assert.equal(nextEpoch(store, 'web2', 40), 40);
});
