import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HELD_MS } from '../../../src/controller/inventory/host-book.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { Controller, Page, Streams } from './late-news.ts';
import { GUESTS, HOSTS, looksOf, moves, type Look } from './moves.ts';

type Turn =
  | { readonly of: 'look' | 'page' | 'asks' | 'overview' | 'release' }
  | { readonly of: 'host' | 'break'; readonly host: string };

const hostTurn = (of: 'host' | 'break'): fc.Arbitrary<Turn> =>
  fc.record({ of: fc.constant(of), host: fc.constantFrom<string>(...HOSTS) });
const turns: fc.Arbitrary<Turn[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Turn>({ of: 'look' }) },
    { weight: 8, arbitrary: hostTurn('host') },
    { weight: 8, arbitrary: fc.constant<Turn>({ of: 'page' }) },
    { weight: 1, arbitrary: hostTurn('break') },
    { weight: 2, arbitrary: fc.constantFrom<Turn>({ of: 'asks' }, { of: 'overview' }) },
    { weight: 3, arbitrary: fc.constant<Turn>({ of: 'release' }) },
  ),
  { minLength: 20, maxLength: 150, size: 'max' },
);

class Run {
  readonly controller = new Controller();
  readonly page = new Page();
  readonly #streams = new Streams();
  readonly #looks: Look[];

  /** Begins with all guests at their first hosts, heard and shown. */
  constructor(looks: readonly Look[]) {
    this.#looks = [...looks];
    for (const _host of HOSTS) this.#happen();
    for (const host of HOSTS) {
      this.#streams.breaks(host);
      this.#streams.deliver(host, this.controller);
    }
    while (this.page.heard < this.controller.events.length) this.turn({ of: 'page' });
  }

  #happen(): void {
    const look = this.#looks.shift();
    if (look !== undefined) this.#streams.add(look);
  }

  turn(turn: Turn): void {
    const { controller, page } = this;
    controller.nowMs += 1;
    switch (turn.of) {
      case 'look':
        return this.#happen();
      case 'host':
        return this.#streams.deliver(turn.host, controller);
      case 'break':
        return this.#streams.breaks(turn.host);
      case 'page':
        return page.hears(controller.events[page.heard]);
      case 'asks':
        return page.asks(controller);
      case 'overview':
        return page.looks();
      case 'release':
        return controller.release();
    }
  }

  /** Everything that is under way comes to its end. */
  *end(): Generator<void> {
    while (this.#looks.length > 0 || !this.#streams.isEmpty) {
      this.#happen();
      for (const host of HOSTS) {
        this.turn({ of: 'host', host });
        yield;
      }
    }
    this.turn({ of: 'release' });
    yield;
    while (this.page.heard < this.controller.events.length) {
      this.turn({ of: 'page' });
      yield;
    }
  }
}

function mustHaveEachOnce({ controller, page }: Run): void {
  for (const guest of GUESTS) {
    const [listed, shown] = [controller.places(guest), page.places(guest)];
    assert.equal(listed.length, 1, `${guest} is listed at ${listed.join() || 'no host'}`);
    assert.equal(shown.length, 1, `${guest} is shown at ${shown.join() || 'no host'}`);
  }
  assert.equal(page.guestCount, GUESTS.length);
}

describe('one row for each guest', () => {
  test('a moving guest has one row, however late the events of each host and of the controller come', () => {
    fc.assert(
      fc.property(moves, turns, (all, order) => {
        const looks = looksOf(all, true);
        const run = new Run(looks);
        mustHaveEachOnce(run);
        for (const turn of order) {
          run.turn(turn);
          mustHaveEachOnce(run);
        }
        for (const _turn of run.end()) mustHaveEachOnce(run);
        for (const guest of GUESTS) {
          const [home] = looks
            .filter(({ guests }) => guests.some(({ name }) => name === guest))
            .slice(-1);
          assert.ok(home !== undefined);
          assert.equal(run.controller.places(guest)[0], run.page.places(guest)[0]);
        }
        const atHosts = HOSTS.map((host) => run.controller.guestsAt(host));
        assert.equal(
          atHosts.reduce((sum, each) => sum + each, 0),
          GUESTS.length,
        );
      }),
      { numRuns: 1000 },
    );
  });

  test('a guest has one row even without epochs, if the agents look at each step and their events come in order', () => {
    fc.assert(
      fc.property(moves, (all) => {
        const each = all.map((move) => ({ ...move, looks: move.looks.map(() => true) }));
        const [controller, first] = [new Controller(), HOSTS.length];
        const check = (): void => {
          for (const guest of GUESTS) assert.equal(controller.places(guest).length, 1);
        };
        for (const [nth, { host, news }] of looksOf(each, false).entries()) {
          for (const event of news) {
            controller.hears(host, event);
            if (nth >= first) check();
          }
        }
        check();
      }),
    );
  });
});

test('the row of a guest that left and never arrives is removed after a while', () => {
  const controller = new Controller();
  const [look] = looksOf([], true);
  assert.ok(look !== undefined);
  controller.hearsAll(look);
  const [guest] = look.guests;
  assert.ok(guest !== undefined);
  const moving = { from: 'a', to: 'b', runsAt: 'destination' as const, epoch: 7 };
  const left: GuestInfo = { ...guest, state: 'unknown', migration: 'm-00000007', moving };
  controller.hears('a', { type: 'guest-gone', name: guest.name, left });
  controller.release();
  assert.deepEqual([controller.places(guest.name), controller.guestsAt('a')], [['a'], 0]);
  controller.nowMs += HELD_MS;
  controller.release();
  assert.deepEqual(controller.places(guest.name), []);
  assert.equal(controller.events.at(-1)?.type, 'guest-gone');
});
