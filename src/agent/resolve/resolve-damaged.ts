import type { AgentConfig } from '../../config.ts';
import { godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  doubtsAboutDamaged,
  judgeDamaged,
  type DamagedRecord,
} from '../../migration/direct/damaged-record.ts';
import type { GuestSightings } from '../../migration/direct/guest-sightings.ts';
import { defined } from '../../protocol/defined.ts';
import { otherHost } from '../../protocol/mover/request.ts';
import type {
  HostDoubts,
  Resolution,
  ResolveAnswer,
  ResolveRequest,
} from '../../protocol/public/resolve.ts';
import { guestOf, type Guests } from '../guests/guests.ts';
import { sightingOf } from '../guests/sightings.ts';
import type { Damage } from '../migrations/damaged-request.ts';
import type { Sides } from '../migrations/sides.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';
import type { OtherSide, Peers } from '../peers.ts';
import { answeredDoubts, confirmed, refusal } from './resolve-answers.ts';

export interface DamagedResolveDependencies {
  readonly config: AgentConfig;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly guests: Guests;
  readonly peers: Peers;
  readonly sides: Sides;
}

export type DamagedMigration = Migration & { readonly damage: Damage };

export const isDamaged = (migration: Migration): migration is DamagedMigration =>
  migration.damage !== undefined;

/**
 * A migration whose request cannot be read. Its journal and the whole fleet are shown; then an operator who answers for
 * each doubt may set its record aside. No copy of the guest is started or ended.
 */
export class DamagedResolve {
  readonly #deps: DamagedResolveDependencies;

  constructor(deps: DamagedResolveDependencies) {
    this.#deps = deps;
  }

  async show(migration: DamagedMigration): Promise<Resolution> {
    return (await this.#look(migration)).known;
  }

  async resolve(
    migration: DamagedMigration,
    asked: ResolveRequest,
    by: string,
  ): Promise<ResolveAnswer> {
    const { store, log, config } = this.#deps;
    const { id } = migration;
    const { known, inDoubt } = await this.#look(migration);
    const { guest, here, from, to } = known;
    const answer = confirmed(known, asked);
    const { runAt } = asked;
    if (here.moverAlive) throw refusal(known, runAt, 'a mover works on it');
    if (!asked.iKnow) {
      const facts = { guest, reason: [answer.why, ...answer.risks].join('; ') };
      const hint = 'Look which host runs it, and say so with --yes-i-know.';
      throw godwitError('GODWIT_RESOLVE_UNPROVED', facts, { hint });
    }
    const answersFor = answeredDoubts(known, asked, inDoubt);
    log.warn({ id, by, answersFor, runAt }, 'damaged record set aside');
    const dir = store.setAside(id);
    const places = { source: `at ${from}`, destination: `at ${to}`, elsewhere: 'at another host' };
    const where = `${guest} is ${places[runAt]}, as ${by.slice(0, 128)} answers`;
    const what = `${where}: the record of ${id} at ${config.name} was set aside in ${dir}`;
    return { what, proof: 'operator', setAside: true };
  }

  async #look(
    migration: DamagedMigration,
  ): Promise<{ readonly known: Resolution; readonly inDoubt: readonly HostDoubts[] }> {
    const { config, peers, sides } = this.#deps;
    const { id, request, damage } = migration;
    const { fromHost: from, toHost: to } = request;
    const guest = guestOf(migration);
    const other = otherHost(request);
    const [here, asked] = await Promise.all([
      sides.viewOfDamaged(migration),
      other === config.name ? NO_OTHER : peers.side(other, id),
    ]);
    const there = 'view' in asked ? asked.view : undefined;
    const fleet = await this.#askFleet(migration, here.uuid ?? there?.uuid);
    const { isGuestKnown, error } = damage;
    const why = error.message;
    const record: DamagedRecord = { id, host: config.name, guest, isGuestKnown, from, to, why };
    const inDoubt = doubtsAboutDamaged(record, fleet);
    const known = {
      id,
      guest,
      from,
      to,
      here,
      ...defined({ there }),
      ...('unreachable' in asked ? { unreachable: asked.unreachable } : {}),
      fencing: false,
      answers: judgeDamaged(record, fleet),
      ...(fleet.unasked.length === 0 ? {} : { unasked: [...fleet.unasked] }),
      inDoubt: inDoubt.slice(0, 1024),
    };
    return { known, inDoubt };
  }

  async #askFleet(migration: Migration, uuid: string | undefined): Promise<GuestSightings> {
    const { store, peers, guests, config } = this.#deps;
    const { id, request } = migration;
    const guest = guestOf(migration);
    const query = { id, ...defined({ uuid }) };
    const [own, others] = await Promise.all([
      // As a stranger is answered: its own hypervisor counts as one more copy.
      sightingOf({ guests, store, host: config.name }, guest, { ...query, asker: '' }),
      peers.sightings(guest, query),
    ]);
    const since = request.createdAt;
    const sightings = [own, ...others.sightings];
    return { id, since, uuid, sightings, unasked: others.unasked };
  }
}

const NO_OTHER: OtherSide = { unreachable: 'no record names the other host', isDark: false };
