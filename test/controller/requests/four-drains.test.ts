import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  guestBytes,
  type GuestFacts,
  type HostFacts,
  type World,
} from '../../../src/controller/requests/facts.ts';
import { promisedBytes } from '../../../src/controller/requests/room.ts';
import { isOpen } from '../../../src/controller/requests/moves.ts';
import type { Sight } from '../../../src/controller/requests/settle.ts';
import { reservationOf, step } from '../../../src/controller/requests/step.ts';
import {
  isRequestEnd,
  type Move,
  type FleetRequest,
} from '../../../src/protocol/controller/fleet-request.ts';
import { drainOf, GIB, guest, host, NOW, world } from './worlds.ts';

const DRAINED = ['a', 'b', 'c', 'd'];
const OTHERS = ['e', 'f', 'g'];
const ROUNDS = 120;

interface Scene {
  readonly sizes: readonly { readonly at: number; readonly gib: number }[];
  readonly rooms: readonly number[];
  /** How each look at a move ends, in turn. */
  readonly seen: readonly ('going' | 'done' | 'failed')[];
}

/** Four drains that are stepped in turn, each by what all of them have promised by then, as the store has it. */
class FourDrains {
  nowMs = NOW;
  readonly hosts: readonly HostFacts[];
  guests: GuestFacts[];
  requests: FleetRequest[];
  moves: Move[] = [];
  readonly #seen: Scene['seen'];
  #turn = 0;
  #ids = 0;

  constructor({ sizes, rooms, seen }: Scene) {
    const own = DRAINED.map((name) => host(name));
    const others = OTHERS.map((name, index) =>
      host(name, { memoryBytes: (rooms[index] ?? 0) * GIB }),
    );
    this.hosts = [...own, ...others];
    this.guests = sizes.map(({ at, gib }, index) =>
      guest(`g${index}`, DRAINED[at] ?? 'a', { memoryBytes: gib * GIB }),
    );
    this.requests = DRAINED.map((name, index) => ({ ...drainOf(name), id: `r-0000000${index}` }));
    this.#seen = seen;
  }

  get world(): World {
    return world({
      nowMs: this.nowMs,
      hosts: this.hosts.map((each) => ({ ...each, seenAtMs: this.nowMs })),
      guests: this.guests,
      reservations: this.moves.flatMap((each) => reservationOf(each) ?? []),
      marks: new Map(
        this.requests.map(({ id, ask }) => {
          const name = ask.hosts[0] ?? '';
          return [name, { host: name, drainingFor: id }];
        }),
      ),
    });
  }

  round(check: (now: World) => void): void {
    this.requests = this.requests.map((request) => {
      const own = this.moves.filter((each) => each.request === request.id && !each.settled);
      const sights = new Map(
        own.filter(({ phase }) => isOpen(phase)).map((each) => this.#look(each)),
      );
      const ids = Array.from({ length: 8 }, () => `m-${String((this.#ids += 1)).padStart(8, '0')}`);
      const input = {
        request,
        moves: own,
        sights,
        world: this.world,
        cancel: 'no',
        epoch: 1,
        ids,
      } as const;
      const output = step(input);
      const changed = new Set(output.moves.map(({ id }) => id));
      this.moves = [...this.moves.filter(({ id }) => !changed.has(id)), ...output.moves];
      check(this.world);
      return output.request;
    });
    this.nowMs += 3000;
  }

  #look(move: Move): [string, Sight] {
    const seen = this.#seen[(this.#turn += 1) % this.#seen.length] ?? 'done';
    if (seen === 'done')
      this.guests = this.guests.map((each) =>
        each.name === move.guest ? { ...each, at: [{ host: move.to, state: 'running' }] } : each,
      );
    return [move.id, { seen }];
  }
}

test('four hosts drained at once never promise more memory of a destination than it has, however moves end', () => {
  const scenes = fc.record({
    sizes: fc.array(fc.record({ at: fc.nat(3), gib: fc.integer({ min: 1, max: 8 }) }), {
      minLength: 1,
      maxLength: 16,
    }),
    rooms: fc.array(fc.nat(32), { minLength: 3, maxLength: 3 }),
    seen: fc.array(fc.constantFrom('going' as const, 'done' as const, 'failed' as const), {
      minLength: 1,
      maxLength: 9,
    }),
  });
  let moved = 0;
  fc.assert(
    fc.property(scenes, (scene) => {
      const drains = new FourDrains(scene);
      for (
        let round = 0;
        round < ROUNDS && !drains.requests.every(({ phase }) => isRequestEnd(phase));
        round += 1
      )
        drains.round((now) => {
          for (const name of OTHERS) {
            const used = guestBytes(now, name) + promisedBytes(now, name);
            const has = now.hosts.get(name)?.memoryBytes ?? 0;
            assert.ok(used <= has, `${name} has ${has / GIB} GiB, and ${used / GIB} are promised`);
          }
          const open = now.reservations.map((each) => each.guest);
          assert.equal(new Set(open).size, open.length, 'a guest is moved twice at once');
        });
      moved += drains.requests.reduce((sum, request) => sum + request.moved, 0);
    }),
    { numRuns: 60 },
  );
  assert.ok(moved > 0, 'nothing ever moved');
});
