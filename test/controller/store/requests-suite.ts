import { emptyHosts } from '../engine/empty-hosts.ts';
import { noModes } from '../engine/no-modes.ts';
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Carrier } from '../../../src/controller/engine/carrier.ts';
import type { AgentCalls, FleetView } from '../../../src/controller/engine/ports.ts';
import { openStore, type StorePlace } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { Requests } from '../../../src/controller/store/requests.ts';
import { emptiedBy } from '../../../src/controller/requests/aim.ts';
import type { Move, FleetRequest } from '../../../src/protocol/controller/fleet-request.ts';
import { hasCode } from '../../../src/errors.ts';
import { Mutex } from '../../../src/mutex.ts';
import { silentLog } from '../../../src/log.ts';
import { drainOf, guest, host, moveOf } from '../requests/worlds.ts';

const LEASE_MS = 60_000;

/** What holds of the requests of a store, whatever keeps it. `make` gives an empty database of its own to each test. */
export function requestsSuite(name: string, make: () => Promise<StorePlace>): void {
  const opened = async (
    work: (requests: Requests, store: Store) => Promise<void>,
  ): Promise<void> => {
    const store = await openStore(await make(), silentLog);
    try {
      await work(new Requests(store), store);
    } finally {
      await store.close();
    }
  };
  const claimed = async (requests: Requests, owner = 'one', leaseMs = LEASE_MS) => {
    const claim = await requests.acquire(owner, leaseMs);
    assert.ok(claim !== undefined);
    return claim;
  };

  describe(`requests in ${name}`, () => {
    test('one controller at a time has a claim, and each acquisition has a higher epoch', () =>
      opened(async (requests) => {
        await requests.add(drainOf('a'));
        const first = await claimed(requests);
        assert.equal(await requests.acquire('two', LEASE_MS), undefined);
        await requests.release(first, 0);
        const second = await claimed(requests, 'two');
        assert.ok(second.epoch > first.epoch);
        const third = await requests.advance(second, LEASE_MS);
        assert.ok(third !== undefined && third.epoch > second.epoch);
        assert.equal(await requests.advance(second, LEASE_MS), undefined);
      }));

    test('one of many controllers that ask at once gets the request', () =>
      opened(async (requests) => {
        await requests.add(drainOf('a'));
        const owners = Array.from({ length: 8 }, (_, nth) => `c${nth}`);
        const claims = await Promise.all(owners.map((owner) => requests.acquire(owner, LEASE_MS)));
        assert.equal(claims.filter((each) => each !== undefined).length, 1);
      }));

    test('a controller that stalled past its lease writes, renews and releases nothing', () =>
      opened(async (requests) => {
        await requests.add(drainOf('a'));
        const stale = await claimed(requests, 'one', 0);
        const fresh = await claimed(requests, 'two');
        const request = { ...drainOf('a'), words: 'written too late' };
        assert.equal(
          await requests.commit(stale, { request, version: 0, moves: [moveOf()] }),
          'stale',
        );
        assert.equal(await requests.renew(stale, LEASE_MS), false);
        assert.equal(await requests.view(stale, LEASE_MS), undefined);
        await requests.release(stale, 0);
        assert.equal(await requests.acquire('three', LEASE_MS), undefined);
        const found = await requests.get(request.id);
        assert.notEqual(found.request.words, request.words);
        assert.deepEqual(found.moves, []);
        assert.ok(await requests.renew(fresh, LEASE_MS));
      }));

    test('room that was promised meanwhile voids a decision, and nothing of it is written', () =>
      opened(async (requests) => {
        const other: FleetRequest = { ...drainOf('d'), id: 'r-00000002' };
        await requests.add(drainOf('a'));
        await requests.add(other);
        const [first, second] = [await claimed(requests), await claimed(requests, 'two')];
        const change = async (claim: typeof first, id: string) => {
          const view = await requests.view(claim, LEASE_MS);
          assert.ok(view !== undefined);
          const moves: Move[] = [moveOf({ id, request: claim.request, phase: 'chosen' })];
          return { request: view.request, version: view.version, moves, admission: view.admission };
        };
        const [one, two] = [await change(first, 'm-00000011'), await change(second, 'm-00000012')];
        assert.equal(await requests.commit(first, one), 'written');
        assert.equal(await requests.commit(second, two), 'changed');
        assert.deepEqual((await requests.get(second.request)).moves, []);
        const seen = await requests.view(second, LEASE_MS);
        assert.deepEqual(
          seen?.world.reservations.map(({ move, source }) => [move, source]),
          [['m-00000011', 'a']],
        );
      }));

    test('a drain that is stored meanwhile voids a decision that has not seen its mark', () =>
      opened(async (requests) => {
        await requests.add(drainOf('a'));
        const claim = await claimed(requests);
        const view = await requests.view(claim, LEASE_MS);
        assert.ok(view !== undefined);
        await requests.add({ ...drainOf('b'), id: 'r-00000002' });
        const { request, version, admission } = view;
        const change = { request, version, admission, moves: [moveOf({ phase: 'chosen' })] };
        assert.equal(await requests.commit(claim, change), 'changed');
      }));

    test('nothing begins once a cancel is stored', () =>
      opened(async (requests) => {
        await requests.add(drainOf('a'));
        const claim = await claimed(requests);
        const view = await requests.view(claim, LEASE_MS);
        assert.ok(await requests.cancel(claim.request, 'let-run'));
        assert.ok(view !== undefined);
        const moves = [moveOf({ phase: 'chosen' })];
        const { request, version, admission } = view;
        const change = { request, version, moves, admission };
        assert.equal(await requests.commit(claim, change), 'changed');
        assert.equal((await requests.view(claim, LEASE_MS))?.cancel, 'let-run');
        await requests.cancel(claim.request, 'roll-back');
        await requests.cancel(claim.request, 'let-run');
        assert.equal((await requests.view(claim, LEASE_MS))?.cancel, 'roll-back');
      }));

    test('a reservation outlives its controller, and ends with its move', () =>
      opened(async (requests, store) => {
        await requests.add(drainOf('a'));
        const claim = await claimed(requests, 'one', 0);
        const request = drainOf('a');
        const rows = async () => {
          const open = store.db.selectFrom('reservations').where('given_back_at', 'is', null);
          const all = await open.selectAll().execute();
          return all.map(({ host: at, source }) => ({ host: at, source }));
        };
        await requests.commit(claim, { request, version: 0, moves: [moveOf()] });
        assert.deepEqual(await rows(), [{ host: 'b', source: 'a' }]);
        const next = await claimed(requests, 'two');
        assert.equal((await requests.view(next, LEASE_MS))?.moves.length, 1);
        await requests.commit(next, {
          request,
          version: 1,
          moves: [moveOf({ phase: 'done', endedAtMs: 5 })],
        });
        assert.deepEqual(await rows(), [{ host: 'b', source: '' }]);
        const settled = moveOf({ phase: 'done', endedAtMs: 5, settled: true });
        await requests.commit(next, { request, version: 2, moves: [settled] });
        assert.equal(await requests.commit(next, { request, version: 2, moves: [] }), 'changed');
        assert.deepEqual(await rows(), []);
        const [kept] = (await requests.get(request.id)).moves;
        assert.deepEqual([kept?.id, kept?.phase, kept?.settled], [settled.id, 'done', true]);
      }));

    test('a host has one open drain; undrain cancels it and removes the mark', () =>
      opened(async (requests, store) => {
        await requests.add(drainOf('a'));
        const again: FleetRequest = { ...drainOf('a'), id: 'r-00000002' };
        await assert.rejects(requests.add(again), (thrown) =>
          hasCode(thrown, 'GODWIT_REQUEST_OPEN'),
        );
        assert.equal(await requests.openDrain('a'), 'r-00000001');
        await requests.undrain('a');
        const [mark] = await store.db.selectFrom('host_marks').selectAll().execute();
        assert.equal(mark?.draining_for, null);
        const claim = await claimed(requests);
        assert.equal((await requests.view(claim, LEASE_MS))?.cancel, 'let-run');
        const isUnknown = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_REQUEST_UNKNOWN');
        await assert.rejects(requests.get('r-99999999'), isUnknown);
      }));

    test("undrain ends one host's part of an evacuation, and the whole of it with the last one", () =>
      opened(async (requests) => {
        const both = drainOf('a', { kind: 'evacuate', hosts: ['a', 'b'] });
        await requests.add(both);
        const claim = await claimed(requests);
        const before = await requests.view(claim, LEASE_MS);
        await requests.undrain('a');
        assert.ok(before !== undefined);
        const { request, version } = before;
        assert.equal(await requests.commit(claim, { request, version, moves: [] }), 'changed');
        const after = await requests.view(claim, LEASE_MS);
        assert.equal(after?.cancel, 'no');
        assert.deepEqual(emptiedBy(both, { ...after.world, guests: new Map() }), ['b']);
        // That host is free for a drain of its own.
        const drain: FleetRequest = { ...drainOf('a'), id: 'r-00000002' };
        await requests.add(drain);
        const again: FleetRequest = { ...drainOf('b'), id: 'r-00000003' };
        await assert.rejects(requests.add(again), (thrown) =>
          hasCode(thrown, 'GODWIT_REQUEST_OPEN'),
        );
        await requests.undrain('b');
        assert.equal((await requests.view(claim, LEASE_MS))?.cancel, 'let-run');
        assert.equal(await requests.openDrain('a'), drain.id);
      }));

    test('a roll closes one host at a time, voids older promises, and begins nothing once it is cancelled', () =>
      opened(async (requests) => {
        const roll = drainOf('a', { kind: 'roll', hosts: ['a', 'b'], run: 'upgrade' });
        const other: FleetRequest = { ...drainOf('d'), id: 'r-00000002' };
        await requests.add(roll);
        await requests.add(other);
        const [claim, others] = [await claimed(requests), await claimed(requests, 'two')];
        const before = (await requests.view(others, LEASE_MS)) ?? assert.fail();
        assert.deepEqual([...before.world.marks.keys()], ['d']);
        const closing = { request: roll, version: 0, moves: [], closes: 'a', begins: true };
        assert.equal(await requests.commit(claim, closing), 'written');
        const promise = { version: before.version, admission: before.admission };
        const moves = [moveOf({ id: 'm-00000012', request: other.id, phase: 'chosen' })];
        assert.equal(
          await requests.commit(others, { request: other, moves, ...promise }),
          'changed',
        );
        const marks = async () => (await requests.view(claim, LEASE_MS))?.world.marks;
        assert.equal((await marks())?.get('a')?.drainingFor, roll.id);
        assert.equal(
          await requests.commit(claim, { request: roll, version: 1, moves: [], opens: 'a' }),
          'written',
        );
        assert.equal((await marks())?.get('a')?.drainingFor, undefined);
        await requests.cancel(roll.id, 'let-run');
        const late = { request: roll, version: 2, moves: [], closes: 'b', begins: true };
        assert.equal(await requests.commit(claim, late), 'changed');
        assert.equal((await marks())?.get('b'), undefined);
      }));

    test('undrain of the host that a roll has closed cancels the roll', () =>
      opened(async (requests) => {
        const roll = drainOf('a', { kind: 'roll', hosts: ['a', 'b'], run: 'upgrade' });
        await requests.add(roll);
        const claim = await claimed(requests);
        await requests.commit(claim, {
          request: roll,
          version: 0,
          moves: [],
          closes: 'a',
          begins: true,
        });
        await requests.undrain('b');
        assert.equal((await requests.view(claim, LEASE_MS))?.cancel, 'no');
        await requests.undrain('a');
        assert.equal((await requests.view(claim, LEASE_MS))?.cancel, 'let-run');
      }));

    test('a repeated request is the same one, and its id is not used by another', () =>
      opened(async (requests) => {
        await requests.add(drainOf('a'));
        await requests.add(drainOf('a'));
        assert.equal((await requests.list()).length, 1);
        const isTaken = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_REQUEST_TAKEN');
        await assert.rejects(requests.add(drainOf('b')), isTaken);
        await assert.rejects(requests.sameAsked('r-00000001', drainOf('b').ask), isTaken);
        const several = drainOf('a', { kind: 'evacuate', hosts: ['b', 'a'] });
        const isOpen = (thrown: unknown): boolean => hasCode(thrown, 'GODWIT_REQUEST_OPEN');
        await assert.rejects(requests.add({ ...several, id: 'r-00000002' }), isOpen);
      }));

    test('a drain completes from its first step to its end, under controllers that die in between', () =>
      opened(async (requests) => {
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
        await requests.add(drainOf('a'));
        let ids = 0;
        const newId = (): string => `m-${String((ids += 1)).padStart(8, '0')}`;
        for (let owner = 1; owner < 40; owner += 1) {
          const claim = await requests.acquire(`c${owner}`, 0);
          if (claim === undefined) break;
          const own = { leaseMs: 0, turns: new Mutex(), modes: noModes, hosts: emptyHosts };
          const parts = { store: requests, agents, fleet, roll, newId, ...own };
          const carrier = new Carrier(claim, parts);
          // Each dies after three rounds.
          for (let round = 0; round < 3; round += 1) {
            await carrier.round();
            await Promise.all(carrier.pending);
          }
        }
        const { request, moves } = await requests.get('r-00000001');
        assert.deepEqual(
          [request.phase, request.moved, [...begun.values()].toSorted()],
          ['done', 3, ['g1', 'g2', 'g3']],
        );
        assert.ok(moves.every(({ phase, settled }) => phase === 'done' && settled));
      }));
  });
}
