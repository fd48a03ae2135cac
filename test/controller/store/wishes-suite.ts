import { emptyHosts } from '../engine/empty-hosts.ts';
import { noModes } from '../engine/no-modes.ts';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import type { AgentCalls, FleetView } from '../../../src/controller/engine/ports.ts';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { Wishes } from '../../../src/controller/store/wishes.ts';
import { emptiedBy } from '../../../src/controller/wishes/aim.ts';
import type { Move, Wish } from '../../../src/protocol/controller/wish.ts';
import { hasCode } from '../../../src/errors.ts';
import { Mutex } from '../../../src/mutex.ts';
import { silentLog } from '../../../src/log.ts';
import { drainOf, guest, host, moveOf } from '../wishes/worlds.ts';

const LEASE_MS = 60_000;

/** What holds of the wishes of a store, whatever keeps it. `make` gives an empty database of its own to each test. */
export function wishesSuite(name: string, make: () => Promise<StorePlace>): void {
  const opened = async (work: (wishes: Wishes, store: Store) => Promise<void>): Promise<void> => {
    const store = await openStore(await make(), silentLog);
    try {
      await work(new Wishes(store), store);
    } finally {
      await store.close();
    }
  };
  const claimed = async (wishes: Wishes, owner = 'one', leaseMs = LEASE_MS) => {
    const claim = await wishes.acquire(owner, leaseMs);
    assert.ok(claim !== undefined);
    return claim;
  };

  describe(`wishes in ${name}`, () => {
    test('one controller at a time has a claim, and each acquisition has a higher epoch', () =>
      opened(async (wishes) => {
        await wishes.add(drainOf('a'));
        const first = await claimed(wishes);
        assert.equal(await wishes.acquire('two', LEASE_MS), undefined);
        await wishes.release(first, 0);
        const second = await claimed(wishes, 'two');
        assert.ok(second.epoch > first.epoch);
        const third = await wishes.advance(second, LEASE_MS);
        assert.ok(third !== undefined && third.epoch > second.epoch);
        assert.equal(await wishes.advance(second, LEASE_MS), undefined);
      }));

    test('of many controllers that ask at once, one gets the wish', () =>
      opened(async (wishes) => {
        await wishes.add(drainOf('a'));
        const owners = Array.from({ length: 8 }, (_, nth) => `c${nth}`);
        const claims = await Promise.all(owners.map((owner) => wishes.acquire(owner, LEASE_MS)));
        assert.equal(claims.filter((each) => each !== undefined).length, 1);
      }));

    test('a controller that stalled past its lease writes, renews and releases nothing', () =>
      opened(async (wishes) => {
        await wishes.add(drainOf('a'));
        const stale = await claimed(wishes, 'one', 0);
        const fresh = await claimed(wishes, 'two');
        const wish = { ...drainOf('a'), words: 'written too late' };
        assert.equal(await wishes.commit(stale, { wish, version: 0, moves: [moveOf()] }), 'stale');
        assert.equal(await wishes.renew(stale, LEASE_MS), false);
        assert.equal(await wishes.view(stale, LEASE_MS), undefined);
        await wishes.release(stale, 0);
        assert.equal(await wishes.acquire('three', LEASE_MS), undefined);
        const found = await wishes.get(wish.id);
        assert.notEqual(found.wish.words, wish.words);
        assert.deepEqual(found.moves, []);
        assert.ok(await wishes.renew(fresh, LEASE_MS));
      }));

    test('room that was promised meanwhile makes a decision void, and nothing of it is written', () =>
      opened(async (wishes) => {
        const other: Wish = { ...drainOf('d'), id: 'w-00000002' };
        await wishes.add(drainOf('a'));
        await wishes.add(other);
        const [first, second] = [await claimed(wishes), await claimed(wishes, 'two')];
        const change = async (claim: typeof first, id: string) => {
          const view = await wishes.view(claim, LEASE_MS);
          assert.ok(view !== undefined);
          const moves: Move[] = [moveOf({ id, wish: claim.wish, phase: 'chosen' })];
          return { wish: view.wish, version: view.version, moves, admission: view.admission };
        };
        const [one, two] = [await change(first, 'm-00000011'), await change(second, 'm-00000012')];
        assert.equal(await wishes.commit(first, one), 'written');
        assert.equal(await wishes.commit(second, two), 'changed');
        assert.deepEqual((await wishes.get(second.wish)).moves, []);
        const seen = await wishes.view(second, LEASE_MS);
        assert.deepEqual(
          seen?.world.reservations.map(({ move, source }) => [move, source]),
          [['m-00000011', 'a']],
        );
      }));

    test('a drain that is stored meanwhile makes a decision void that has not seen its mark', () =>
      opened(async (wishes) => {
        await wishes.add(drainOf('a'));
        const claim = await claimed(wishes);
        const view = await wishes.view(claim, LEASE_MS);
        assert.ok(view !== undefined);
        await wishes.add({ ...drainOf('b'), id: 'w-00000002' });
        const { wish, version, admission } = view;
        const change = { wish, version, admission, moves: [moveOf({ phase: 'chosen' })] };
        assert.equal(await wishes.commit(claim, change), 'changed');
      }));

    test('nothing begins once a cancel is stored', () =>
      opened(async (wishes) => {
        await wishes.add(drainOf('a'));
        const claim = await claimed(wishes);
        const view = await wishes.view(claim, LEASE_MS);
        assert.ok(await wishes.cancel(claim.wish, 'let-run'));
        assert.ok(view !== undefined);
        const moves = [moveOf({ phase: 'chosen' })];
        const { wish, version, admission } = view;
        const change = { wish, version, moves, admission };
        assert.equal(await wishes.commit(claim, change), 'changed');
        assert.equal((await wishes.view(claim, LEASE_MS))?.cancel, 'let-run');
        await wishes.cancel(claim.wish, 'roll-back');
        await wishes.cancel(claim.wish, 'let-run');
        assert.equal((await wishes.view(claim, LEASE_MS))?.cancel, 'roll-back');
      }));

    test('a reservation outlives its controller, and ends with its move', () =>
      opened(async (wishes, store) => {
        await wishes.add(drainOf('a'));
        const claim = await claimed(wishes, 'one', 0);
        const wish = drainOf('a');
        const rows = async () => {
          const open = store.db.selectFrom('reservations').where('given_back_at', 'is', null);
          const all = await open.selectAll().execute();
          return all.map(({ host: at, source }) => ({ host: at, source }));
        };
        await wishes.commit(claim, { wish, version: 0, moves: [moveOf()] });
        assert.deepEqual(await rows(), [{ host: 'b', source: 'a' }]);
        const next = await claimed(wishes, 'two');
        assert.equal((await wishes.view(next, LEASE_MS))?.moves.length, 1);
        await wishes.commit(next, {
          wish,
          version: 1,
          moves: [moveOf({ phase: 'done', endedAtMs: 5 })],
        });
        assert.deepEqual(await rows(), [{ host: 'b', source: '' }]);
        const settled = moveOf({ phase: 'done', endedAtMs: 5, settled: true });
        await wishes.commit(next, { wish, version: 2, moves: [settled] });
        assert.equal(await wishes.commit(next, { wish, version: 2, moves: [] }), 'changed');
        assert.deepEqual(await rows(), []);
        const [kept] = (await wishes.get(wish.id)).moves;
        assert.deepEqual([kept?.id, kept?.phase, kept?.settled], [settled.id, 'done', true]);
      }));

    test('a host has one open drain; undrain cancels it and takes the mark away', () =>
      opened(async (wishes, store) => {
        await wishes.add(drainOf('a'));
        const again: Wish = { ...drainOf('a'), id: 'w-00000002' };
        await assert.rejects(wishes.add(again), (thrown) => hasCode(thrown, 'GODWIT_WISH_OPEN'));
        assert.equal(await wishes.openDrain('a'), 'w-00000001');
        await wishes.undrain('a');
        const [mark] = await store.db.selectFrom('host_marks').selectAll().execute();
        assert.equal(mark?.draining_for, null);
        const claim = await claimed(wishes);
        assert.equal((await wishes.view(claim, LEASE_MS))?.cancel, 'let-run');
        const isUnknown = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_WISH_UNKNOWN');
        await assert.rejects(wishes.get('w-99999999'), isUnknown);
      }));

    test('undrain ends one host’s part of an evacuation, and the whole of it with the last one', () =>
      opened(async (wishes) => {
        const both = drainOf('a', { kind: 'evacuate', hosts: ['a', 'b'] });
        await wishes.add(both);
        const claim = await claimed(wishes);
        const before = await wishes.view(claim, LEASE_MS);
        await wishes.undrain('a');
        assert.ok(before !== undefined);
        const { wish, version } = before;
        assert.equal(await wishes.commit(claim, { wish, version, moves: [] }), 'changed');
        const after = await wishes.view(claim, LEASE_MS);
        assert.equal(after?.cancel, 'no');
        assert.deepEqual(emptiedBy(both, { ...after.world, guests: new Map() }), ['b']);
        // That host is free for a drain of its own.
        const drain: Wish = { ...drainOf('a'), id: 'w-00000002' };
        await wishes.add(drain);
        const again: Wish = { ...drainOf('b'), id: 'w-00000003' };
        await assert.rejects(wishes.add(again), (thrown) => hasCode(thrown, 'GODWIT_WISH_OPEN'));
        await wishes.undrain('b');
        assert.equal((await wishes.view(claim, LEASE_MS))?.cancel, 'let-run');
        assert.equal(await wishes.openDrain('a'), drain.id);
      }));

    test('a roll closes one host at a time, makes older promises void, and begins nothing once it is cancelled', () =>
      opened(async (wishes) => {
        const roll = drainOf('a', { kind: 'roll', hosts: ['a', 'b'], run: 'upgrade' });
        const other: Wish = { ...drainOf('d'), id: 'w-00000002' };
        await wishes.add(roll);
        await wishes.add(other);
        const [claim, others] = [await claimed(wishes), await claimed(wishes, 'two')];
        const before = (await wishes.view(others, LEASE_MS)) ?? assert.fail();
        assert.deepEqual([...before.world.marks.keys()], ['d']);
        const closing = { wish: roll, version: 0, moves: [], closes: 'a', begins: true };
        assert.equal(await wishes.commit(claim, closing), 'written');
        const promise = { version: before.version, admission: before.admission };
        const moves = [moveOf({ id: 'm-00000012', wish: other.id, phase: 'chosen' })];
        assert.equal(await wishes.commit(others, { wish: other, moves, ...promise }), 'changed');
        const marks = async () => (await wishes.view(claim, LEASE_MS))?.world.marks;
        assert.equal((await marks())?.get('a')?.drainingFor, roll.id);
        assert.equal(
          await wishes.commit(claim, { wish: roll, version: 1, moves: [], opens: 'a' }),
          'written',
        );
        assert.equal((await marks())?.get('a')?.drainingFor, undefined);
        await wishes.cancel(roll.id, 'let-run');
        const late = { wish: roll, version: 2, moves: [], closes: 'b', begins: true };
        assert.equal(await wishes.commit(claim, late), 'changed');
        assert.equal((await marks())?.get('b'), undefined);
      }));

    test('undrain of the host that a roll has closed cancels the roll', () =>
      opened(async (wishes) => {
        const roll = drainOf('a', { kind: 'roll', hosts: ['a', 'b'], run: 'upgrade' });
        await wishes.add(roll);
        const claim = await claimed(wishes);
        await wishes.commit(claim, {
          wish: roll,
          version: 0,
          moves: [],
          closes: 'a',
          begins: true,
        });
        await wishes.undrain('b');
        assert.equal((await wishes.view(claim, LEASE_MS))?.cancel, 'no');
        await wishes.undrain('a');
        assert.equal((await wishes.view(claim, LEASE_MS))?.cancel, 'let-run');
      }));

    test('a wish that is asked for again is the same one, and its id is no other’s', () =>
      opened(async (wishes) => {
        await wishes.add(drainOf('a'));
        await wishes.add(drainOf('a'));
        assert.equal((await wishes.list()).length, 1);
        const isTaken = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_WISH_TAKEN');
        await assert.rejects(wishes.add(drainOf('b')), isTaken);
        await assert.rejects(wishes.sameAsked('w-00000001', drainOf('b').ask), isTaken);
        const several = drainOf('a', { kind: 'evacuate', hosts: ['b', 'a'] });
        const isOpen = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_WISH_OPEN');
        await assert.rejects(wishes.add({ ...several, id: 'w-00000002' }), isOpen);
      }));

    test('a drain goes from its first step to its end, by controllers that die in between', () =>
      opened(async (wishes) => {
        const homes = new Map(['g1', 'g2', 'g3'].map((each) => [each, 'a']));
        // Asked again by the same id, an agent begins nothing.
        const begun = new Map<string, string>();
        const agents: AgentCalls = {
          put: async (move) => {
            begun.set(move.id, move.guest);
            return { seen: 'accepted' };
          },
          look: async (move) => {
            homes.set(move.guest, move.to);
            return { seen: 'done' };
          },
          cancel: async () => ({ seen: 'unknown' }),
        };
        const fleet: FleetView = {
          look: async () => ({
            hosts: new Map(['a', 'b', 'c'].map((each) => [each, host(each)])),
            guests: new Map([...homes].map(([each, at]) => [each, guest(each, at)])),
            labels: new Map(),
          }),
        };
        const unasked = async () => assert.fail('no roll is asked for');
        const roll = { host: unasked, program: unasked };
        await wishes.add(drainOf('a'));
        let ids = 0;
        const newId = (): string => `m-${String((ids += 1)).padStart(8, '0')}`;
        for (let owner = 1; owner < 40; owner += 1) {
          const claim = await wishes.acquire(`c${owner}`, 0);
          if (claim === undefined) break;
          const own = { leaseMs: 0, turns: new Mutex(), modes: noModes, hosts: emptyHosts };
          const parts = { store: wishes, agents, fleet, roll, newId, ...own };
          const carrier = new Carrier(claim, parts);
          // Each dies after three rounds.
          for (let round = 0; round < 3; round += 1) {
            await carrier.round();
            await Promise.all(carrier.pending);
          }
        }
        const { wish, moves } = await wishes.get('w-00000001');
        assert.deepEqual(
          [wish.phase, wish.moved, [...begun.values()].toSorted()],
          ['done', 3, ['g1', 'g2', 'g3']],
        );
        assert.ok(moves.every(({ phase, settled }) => phase === 'done' && settled));
      }));
  });
}
