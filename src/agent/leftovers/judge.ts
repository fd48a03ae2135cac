import { isEnd } from '../../protocol/public/migration.ts';
import type { Leftover } from '../../protocol/public/leftover.ts';
import type { GuestDirectoryFact, GuestFact, HostFacts, MigrationFact, TapFact } from './facts.ts';

/** Something that was changed more recently may be in use or half made, ms. */
const SETTLED_MS = 60_000;

/** Lists leftovers of this host and whether each may be removed. Pure. A running guest is never listed. */
export function judgeLeftovers(facts: HostFacts): Leftover[] {
  return [
    ...facts.migrations.flatMap((each) => ofMigration(each)),
    ...facts.guests.flatMap((each) => ofGuest(each, facts)),
    ...facts.taps.flatMap((each) => ofTap(each, facts)),
    ...facts.guestDirectories.flatMap((each) => ofDirectory(each, facts)),
  ];
}

function ofMigration(fact: MigrationFact): Leftover[] {
  const { known, dir, id, hasJournal } = fact;
  if (known === undefined) {
    if (fact.restsMs < SETTLED_MS) return [];
    const why = hasJournal
      ? 'it has a journal, and a request that this version cannot read: whoever made it must end it'
      : 'it has no request and no journal: nothing had begun';
    return [{ kind: 'migration-directory', what: dir, migration: id, safe: !hasJournal, why }];
  }
  const { guest, phase, moverAlive } = known;
  if (moverAlive) return [];
  if (known.unreadable !== undefined) {
    const why = `its state is unknown: ${known.unreadable}`;
    return [{ kind: 'migration-unfinished', what: dir, guest, migration: id, safe: false, why }];
  }
  if (!isEnd(phase)) {
    if (known.leftBecause === undefined) return [];
    const why = `it is stalled in ${phase}: ${known.leftBecause}; see \`godwit resolve ${id}\``;
    return [{ kind: 'migration-unfinished', what: dir, guest, migration: id, safe: false, why }];
  }
  const why = `its migration ended as ${phase}`;
  const safe = { guest, migration: id, safe: true, why };
  return [
    ...fact.sockets
      .filter(({ bound }) => !bound)
      .map(({ path }): Leftover => ({ kind: 'socket', what: path, ...safe })),
    ...fact.temporary.map((path): Leftover => ({ kind: 'temporary-file', what: path, ...safe })),
    ...(fact.tls === undefined
      ? []
      : [{ kind: 'tls-files', what: fact.tls, ...safe } satisfies Leftover]),
  ];
}

function openMigration(guest: string, { migrations }: HostFacts): MigrationFact | undefined {
  const open = migrations.filter(({ known }) => {
    if (known === undefined || (known.guest !== guest && known.isNameless !== true)) return false;
    return known.moverAlive || !isEnd(known.phase) || known.phase === 'held';
  });
  return open.find((each) => !isHeld(each)) ?? open[0];
}

function isHeld({ known }: MigrationFact): boolean {
  return known?.phase === 'held' && !known.moverAlive;
}

function becauseOf({ id, known }: MigrationFact): string {
  if (known?.phase === 'held') return `${id} is held: \`godwit resolve ${id}\` decides`;
  return `${id} is under way (${known?.phase ?? 'unknown'})`;
}

/** Lists only hypervisors that wait for memory, or that a migration built and gave up; never a running one. */
function ofGuest(guest: GuestFact, facts: HostFacts): Leftover[] {
  const { name, pid, state, dir, unsettled } = guest;
  const waits = state === 'incoming';
  if (dir === undefined || !(waits || (state === 'paused' && unsettled))) return [];
  const open = openMigration(name, facts);
  if (open !== undefined && !isHeld(open)) return [];
  const common = { kind: 'hypervisor', what: `process ${pid}`, guest: name } as const;
  if (open !== undefined) return [{ ...common, safe: false, why: becauseOf(open) }];
  if (waits) {
    const why = 'it waits for memory that no migration will send';
    return [{ ...common, safe: guest.handle !== undefined, why }];
  }
  // An earlier migration of this name gave up another copy.
  const gaveUp = facts.migrations.some(({ id, known }) => {
    const here = id === guest.builtBy && known?.guest === name && known.side === 'destination';
    return here && ['rehearsed', 'failed', 'cancelled'].includes(known.phase);
  });
  const why = gaveUp
    ? 'its migration was rolled back: it runs at its source'
    : 'it is paused with all its memory, and no migration says whose it is';
  return [{ ...common, safe: gaveUp && guest.handle !== undefined, why }];
}

function ofTap({ name, held }: TapFact, facts: HostFacts): Leftover[] {
  if (held === true) return [];
  const owner = facts.migrations.find(({ tapPrefix }) => name.startsWith(tapPrefix));
  const common = { kind: 'tap', what: name } as const;
  const of = owner === undefined ? {} : { migration: owner.id };
  const guest = owner?.known === undefined ? {} : { guest: owner.known.guest };
  if (owner?.known !== undefined) {
    const { moverAlive, phase } = owner.known;
    if (moverAlive || !isEnd(phase)) return [];
    if (phase === 'held')
      return [{ ...common, ...of, ...guest, safe: false, why: becauseOf(owner) }];
  }
  const why = held === false ? 'no process holds it' : 'it is down, so nobody knows who holds it';
  return [{ ...common, ...of, ...guest, safe: held === false, why }];
}

function ofDirectory(fact: GuestDirectoryFact, facts: HostFacts): Leftover[] {
  const { name, dir, inUse, restsMs } = fact;
  const lives = inUse || facts.guests.some((guest) => guest.name === name || guest.dir === dir);
  if (lives || restsMs < SETTLED_MS) return [];
  const common = { kind: 'guest-directory', what: dir, guest: name } as const;
  const open = openMigration(name, facts);
  if (open === undefined) return [{ ...common, safe: true, why: 'its guest has ended' }];
  if (!isHeld(open)) return [];
  return [{ ...common, safe: false, why: becauseOf(open) }];
}
