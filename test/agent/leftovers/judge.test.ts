import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type {
  GuestDirectoryFact,
  GuestFact,
  HostFacts,
  MigrationFact,
  TapFact,
} from '../../../src/agent/leftovers/facts.ts';
import { judgeLeftovers } from '../../../src/agent/leftovers/judge.ts';
import { END_PHASES, phase } from '../../../src/protocol/public/migration.ts';

const handle = { driver: 'qemu', name: 'web1', pid: 7, startTicks: 1, monitor: '/s/guests/web1/q' };
const nothing: HostFacts = { migrations: [], guestDirectories: [], guests: [], taps: [] };
const known = { guest: 'web1', side: 'destination', phase: 'done', moverAlive: false } as const;
const migration: MigrationFact = {
  id: 'm-1',
  dir: '/s/migrations/m-1',
  known,
  hasJournal: true,
  restsMs: 1e6,
  sockets: [],
  temporary: [],
  tls: undefined,
  tapPrefix: 'gw01234567n',
};
const guest: GuestFact = {
  name: 'web1',
  state: 'incoming',
  pid: 7,
  handle,
  dir: '/s/guests/web1',
  unsettled: true,
};
const directory: GuestDirectoryFact = {
  name: 'web1',
  dir: '/s/guests/web1',
  inUse: false,
  restsMs: 1e6,
};

const found = (facts: Partial<HostFacts>): string[] =>
  judgeLeftovers({ ...nothing, ...facts }).map(({ kind, safe }) => `${kind}${safe ? '' : ' kept'}`);

const anyPhase = fc.constantFrom(...phase.options);
const anyMigration: fc.Arbitrary<MigrationFact> = fc
  .record({ phase: anyPhase, moverAlive: fc.boolean(), hasJournal: fc.boolean(), is: fc.boolean() })
  .map(({ phase: at, moverAlive, hasJournal, is }) => {
    const { known: _, ...rest } = migration;
    return is
      ? { ...migration, hasJournal, known: { ...known, phase: at, moverAlive } }
      : { ...rest, hasJournal };
  });
const states = ['running', 'paused', 'migrating', 'incoming', 'stopped', 'unknown'] as const;
const anyGuest: fc.Arbitrary<GuestFact> = fc
  .record({ state: fc.constantFrom(...states), unsettled: fc.boolean(), ours: fc.boolean() })
  .map(({ state, unsettled, ours }) => {
    const { dir, ...rest } = guest;
    return { ...rest, state, unsettled, ...(ours && dir !== undefined ? { dir } : {}) };
  });
const anyTap: fc.Arbitrary<TapFact> = fc.record({
  name: fc.constantFrom('gw01234567n0', 'gw99999999n1'),
  held: fc.constantFrom(true, false, undefined),
});
const anyFacts: fc.Arbitrary<HostFacts> = fc.record({
  migrations: fc.array(anyMigration, { maxLength: 2 }),
  guestDirectories: fc
    .record({ inUse: fc.boolean(), restsMs: fc.constantFrom(0, 1e6) })
    .map((facts) => [{ ...directory, ...facts }]),
  guests: fc.array(anyGuest, { maxLength: 1 }),
  taps: fc.array(anyTap, { maxLength: 2 }),
});

describe('leftovers of a crash', () => {
  test('a guest that ended by itself after it was moved leaves its directory, which may go', () => {
    const facts = { migrations: [migration], guestDirectories: [directory] };
    assert.deepEqual(found(facts), ['guest-directory']);
  });

  test('a directory without a request and without a start may go; one with a journal stays', () => {
    const { known: _, ...lost } = migration;
    assert.deepEqual(found({ migrations: [{ ...lost, hasJournal: false }] }), [
      'migration-directory',
    ]);
    assert.deepEqual(found({ migrations: [lost] }), ['migration-directory kept']);
    assert.deepEqual(found({ migrations: [{ ...lost, hasJournal: false, restsMs: 10 }] }), []);
  });

  test('the files in the folder of an ended migration may go', () => {
    const facts: MigrationFact = {
      ...migration,
      sockets: [
        { path: '/s/migrations/m-1/mover.sock', bound: false },
        { path: '/s/migrations/m-1/other.sock', bound: true },
      ],
      temporary: ['/s/migrations/m-1/mover.json.tmp'],
      tls: '/s/migrations/m-1/tls',
    };
    assert.deepEqual(found({ migrations: [facts] }), ['socket', 'temporary-file', 'tls-files']);
    const alive = { ...facts, known: { ...known, moverAlive: true } };
    assert.deepEqual(found({ migrations: [alive] }), []);
  });

  test('a hypervisor that waits for memory that no migration will send may go', () => {
    assert.deepEqual(found({ guests: [guest], migrations: [migration] }), ['hypervisor']);
    assert.deepEqual(found({ guests: [guest] }), ['hypervisor']);
  });

  test('a hypervisor that has all its memory may go only if its migration gave it up', () => {
    const paused = { ...guest, state: 'paused' } as const;
    assert.deepEqual(found({ guests: [paused] }), ['hypervisor kept']);
    const gaveUp = { ...migration, known: { ...known, phase: 'failed' } } as const;
    const built = { ...paused, builtBy: 'm-1' };
    assert.deepEqual(found({ guests: [built], migrations: [gaveUp] }), ['hypervisor']);
    assert.deepEqual(found({ guests: [{ ...paused, unsettled: false }] }), []);
  });

  test('a hypervisor that has all its memory stays if only an earlier migration of its name was given up', () => {
    const gaveUp = { ...migration, known: { ...known, phase: 'failed' } } as const;
    const later = { ...migration, id: 'm-2' };
    const paused = { ...guest, state: 'paused' } as const;
    for (const builtBy of [{ builtBy: 'm-2' }, {}]) {
      const guests = [{ ...paused, ...builtBy }];
      assert.deepEqual(found({ guests, migrations: [gaveUp, later] }), ['hypervisor kept']);
    }
  });

  test('nothing of a held migration may go: an operator decides with it', () => {
    const held = { ...migration, known: { ...known, phase: 'held' } } as const;
    const taps = [{ name: 'gw01234567n0', held: false }];
    const facts = { migrations: [held], guests: [guest], taps };
    assert.deepEqual(found(facts), ['hypervisor kept', 'tap kept']);
    const ended = { migrations: [held], guestDirectories: [directory] };
    assert.deepEqual(found(ended), ['guest-directory kept']);
  });

  test('files of a migration whose journal cannot be read may not go', () => {
    const unreadable = {
      ...migration,
      known: { ...known, phase: 'held', unreadable: '3' },
    } as const;
    const facts = {
      migrations: [{ ...unreadable, tls: '/m/tls', temporary: ['/m/x.tmp'] } as const],
      guests: [guest],
      guestDirectories: [directory],
      taps: [{ name: 'gw01234567n0', held: false }],
    };
    assert.ok(judgeLeftovers({ ...nothing, ...facts }).every(({ safe }) => !safe));
  });

  test('no leftover is named for a guest that moves again after a held migration', () => {
    const held = { ...migration, known: { ...known, phase: 'held' } } as const;
    const going = { ...migration, known: { ...known, phase: 'planned' } } as const;
    const facts = { migrations: [held, going], guestDirectories: [directory], guests: [guest] };
    assert.deepEqual(found(facts), []);
  });

  test('a tap without a holder may go; one whose holder is unknown stays', () => {
    assert.deepEqual(found({ taps: [{ name: 'gw99999999n0', held: false }] }), ['tap']);
    assert.deepEqual(found({ taps: [{ name: 'gw99999999n0', held: undefined }] }), ['tap kept']);
    assert.deepEqual(found({ taps: [{ name: 'gw99999999n0', held: true }] }), []);
  });

  test('a running hypervisor or an active migration is never named', () => {
    const ends: readonly string[] = END_PHASES;
    fc.assert(
      fc.property(anyFacts, (facts) => {
        const going = facts.migrations.some(
          ({ known: of }) => of !== undefined && (of.moverAlive || !ends.includes(of.phase)),
        );
        for (const { kind, safe, why } of judgeLeftovers(facts)) {
          assert.ok(why.length > 0);
          const runs = facts.guests.some(
            ({ state }) => state === 'running' || state === 'migrating',
          );
          if (kind === 'hypervisor') assert.ok(!runs && !going);
          if (kind === 'guest-directory') assert.ok(facts.guests.length === 0 && !going);
          const held = facts.migrations.some(({ known: of }) => of?.phase === 'held');
          if (held && (kind === 'hypervisor' || kind === 'guest-directory')) assert.ok(!safe);
        }
      }),
      { numRuns: 500 },
    );
  });
});
