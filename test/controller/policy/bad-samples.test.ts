import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  LOOK_MS,
  type FleetLook,
  type HostLook,
} from '../../../src/controller/inventory/guest-looks.ts';
import { HostBook } from '../../../src/controller/inventory/host-book.ts';
import { Loads } from '../../../src/controller/policy/loads.ts';
import { changeOf } from '../../../src/controller/policy/turn.ts';
import type { PolicyChange } from '../../../src/controller/store/policies.ts';
import { hostEvent } from '../../../src/protocol/public/hosts/host-event.ts';
import type { PolicyKind } from '../../../src/protocol/controller/policy.ts';
import { guest as listed } from '../../agent/samples.ts';
import { HOST } from '../inventory/hosts.ts';
import { GIB, guest, host, NOW, world } from '../requests/worlds.ts';
import { policyOf } from './samples.ts';

const LOOKS = 6;
const CORES = 16;
const VCPUS = 6;
/** Cores that each guest uses; the first host is asked for more than it has. */
const USED: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  a: { a1: 5, a2: 4.5, a3: 4, a4: 3.5 },
  b: { b1: 1 },
  c: { c1: 0.5, c2: 0.5 },
};
const GUESTS = Object.entries(USED).flatMap(([at, own]) =>
  Object.keys(own).map((name) => ({ name, at })),
);
const HOSTS = Object.keys(USED);

/** What one sample says in place of the truth: of a guest, or of its whole host. */
interface Lie {
  readonly look: number;
  readonly guest: string;
  readonly says: unknown;
}

const NONSENSE = [-1, -0.01, Number.NaN, Infinity, 1e6, 1e9, 40, 13.5, '4', null, undefined];
const lies = fc.array(
  fc.record({
    look: fc.nat(LOOKS - 1),
    guest: fc.constantFrom(...GUESTS.map(({ name }) => name)),
    // Most are numbers that a sample may have; each of the others ends its host's stream.
    says: fc.oneof(
      { weight: 12, arbitrary: fc.double({ min: 14, max: 1e6, noNaN: true }) },
      { weight: 1, arbitrary: fc.constantFrom(...NONSENSE) },
      { weight: 1, arbitrary: fc.double({ max: -Number.MIN_VALUE }) },
    ),
  }),
  { maxLength: 8 },
);

/** As its agent sends it, of a host whose clock is off by `aheadMs`. */
function sample(at: string, atMs: number, guests: readonly (readonly [string, unknown])[]): string {
  const used = Object.values(USED[at] ?? {}).reduce((sum, each) => sum + each, 0);
  const load = {
    at: new Date(atMs).toISOString(),
    overMs: 10_000,
    processor: { cores: CORES, used: Math.min(1, used / CORES), steal: 0 },
    memory: { totalBytes: 64 * GIB, availableBytes: 32 * GIB, swapUsedBytes: 0 },
    network: { inBytesPerS: 0, outBytesPerS: 0 },
    disk: { readBytesPerS: 0, writeBytesPerS: 0 },
    guests: guests.map(([name, cores]) => ({ name, cores, residentBytes: 1 })),
  };
  return JSON.stringify({ id: 'x', type: 'load', load });
}

interface ReportedLooks {
  readonly looks: FleetLook[];
  /** Hosts that said what is no sample: their streams ended with it, and nothing is heard of them. */
  readonly lost: ReadonlySet<string>;
}

/** What a controller makes of the hosts' samples, by the way that they go. `omitted`: lies are left out instead. */
function told(all: readonly Lie[], aheadMs: number, isOmitted: boolean): ReportedLooks {
  const lost = new Set<string>();
  const looks = new Map<number, Map<string, HostLook>>();
  for (const at of HOSTS) {
    let nowMs = NOW - LOOKS * LOOK_MS;
    const book = new HostBook(
      { ...HOST, name: at },
      {
        write: () => true,
        publish() {},
        reportHost() {},
        followed() {},
        moved() {},
        nowMs: () => nowMs,
      },
    );
    for (const [name] of Object.entries(USED[at] ?? {})) {
      const { info } = listed(name, { host: at, vcpus: VCPUS });
      book.event({ id: 'x', type: 'guest', guest: info });
    }
    for (let look = 0; look < LOOKS; look += 1) {
      nowMs = NOW + (look - LOOKS) * LOOK_MS;
      const said = Object.entries(USED[at] ?? {}).flatMap(
        ([name, cores]): (readonly [string, unknown])[] => {
          const lie = all.find((each) => each.look === look && each.guest === name);
          if (lie === undefined) return [[name, cores]];
          return isOmitted ? [] : [[name, lie.says]];
        },
      );
      const event = hostEvent.safeParse(JSON.parse(sample(at, nowMs + aheadMs, said)));
      if (!event.success) {
        lost.add(at);
        break;
      }
      book.event(event.data);
    }
    for (const { atMs, look } of book.samples.looks.unwritten(NOW + LOOK_MS)) {
      const there = looks.get(atMs) ?? new Map<string, HostLook>();
      // As it comes from the database.
      there.set(at, JSON.parse(JSON.stringify(look)) as HostLook);
      looks.set(atMs, there);
    }
  }
  return {
    lost,
    looks: [...looks]
      .toSorted(([left], [right]) => left - right)
      .map(([atMs, hosts]) => ({ atMs, hosts })),
  };
}

function planned(kind: PolicyKind, { looks, lost }: ReportedLooks): PolicyChange {
  const loads = new Loads(LOOK_MS);
  for (const look of looks) loads.add(look);
  const hosts = HOSTS.map((name) =>
    host(name, lost.has(name) ? { silentSinceMs: NOW - LOOK_MS } : {}),
  );
  const guests = GUESTS.map(({ name, at }) => guest(name, at, { vcpus: VCPUS }));
  const view = {
    nowMs: NOW,
    policy: policyOf({ kind }),
    proposals: [],
    requests: new Map(),
    made: [],
    past: [],
    own: [],
    asked: new Map(),
    groups: [],
  };
  const seen = { world: world({ hosts, guests }), loads, usual: new Map(), setsPower: true };
  let ids = 0;
  return changeOf(view, seen, () => String((ids += 1)).padStart(16, '0'));
}

const movesOf = ({ proposals }: PolicyChange) =>
  proposals.flatMap(({ proposal }) => proposal.moves);

test('no plan rests on impossible samples: it equals the plan without them, and lists them', () => {
  let [moves, asides, losses] = [0, 0, 0];
  fc.assert(
    fc.property(lies, fc.constantFrom<PolicyKind>('balance', 'consolidate'), (all, kind) => {
      const [said, omitted] = [told(all, 0, false), told(all, 0, true)];
      const change = planned(kind, said);
      const without = planned(kind, { looks: omitted.looks, lost: said.lost });
      losses += said.lost.size;
      // Where a stream has ended the rest of its samples is missing, too.
      if (said.lost.size === 0) assert.deepEqual(movesOf(change), movesOf(without));
      moves += movesOf(change).length;
      const words = change.look.refusals.join('\n');
      for (const { guest: name, from, to, cost } of movesOf(change)) {
        assert.ok(!said.lost.has(from) && !said.lost.has(to), `${name}: ${from} to ${to}`);
        assert.ok(Object.values(cost).every((each) => Number.isFinite(each) && each >= 0));
      }
      for (const lost of said.lost) assert.match(words, new RegExp(`\\b${lost}\\b.*not heard of`));
      const newest = said.looks.at(-1);
      for (const { name, at } of GUESTS) {
        const aside = newest?.hosts.get(at)?.aside?.[name];
        if (aside === undefined || said.lost.has(at)) continue;
        asides += 1;
        assert.match(words, new RegExp(`${name}: is said to use .* and has ${VCPUS}|more guests`));
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(moves > 50 && asides > 20 && losses > 50, `${moves}, ${asides}, ${losses}`);
});

test('a wrong clock changes no plan, however far it is off, and is named', () => {
  const off = fc.oneof(
    fc.integer({ min: 61_000, max: 400 * 86_400_000 }),
    fc.integer({ min: -400 * 86_400_000, max: -61_000 }),
  );
  fc.assert(
    fc.property(off, (aheadMs) => {
      const change = planned('balance', told([], aheadMs, false));
      assert.deepEqual(movesOf(change), movesOf(planned('balance', told([], 0, false))));
      assert.equal(movesOf(change).length, 1);
      const words = change.look.refusals.filter((each) => /its clock is/.test(each));
      assert.equal(words.length, HOSTS.length);
      assert.match(words[0] ?? '', aheadMs > 0 ? /ahead of/ : /behind/);
    }),
    { numRuns: 50 },
  );
});

test('a host without current samples is left alone with its guests, and named', () => {
  const all = told([], 0, false);
  for (const gone of HOSTS) {
    // The last four looks have nothing of it.
    const looks = all.looks.map(({ atMs, hosts }, at) => ({
      atMs,
      hosts: at < LOOKS - 4 ? hosts : new Map([...hosts].filter(([name]) => name !== gone)),
    }));
    const change = planned('balance', { ...all, looks });
    assert.ok(movesOf(change).every(({ from, to }) => from !== gone && to !== gone));
    assert.match(change.look.refusals.join('\n'), new RegExp(`^${gone}: no sample of late`, 'm'));
  }
});

test('a guest without a load report stays, and is named', () => {
  const all = told(
    Array.from({ length: LOOKS }, (_none, look) => ({ look, guest: 'a2', says: undefined })),
    0,
    true,
  );
  const change = planned('balance', all);
  assert.ok(movesOf(change).every(({ guest: name }) => name !== 'a2'));
  assert.match(change.look.refusals.join('\n'), /^a2: nobody reports what it uses; it stays$/m);
});
