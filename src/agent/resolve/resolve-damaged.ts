import { godwitError, toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import {
  doubtsAboutDamaged,
  judgeDamaged,
  type DamagedRecord,
} from '../../migration/direct/operator/damaged-record.ts';
import { otherHost } from '../../protocol/mover/request.ts';
import type {
  Resolution,
  ResolveAnswer,
  ResolveRequest,
  RunAt,
} from '../../protocol/public/resolve.ts';
import { guestOf } from '../guests/guests.ts';
import type { Damage } from '../migrations/damaged-request.ts';
import type { Migration, MigrationStore } from '../migrations/store.ts';
import type { OtherSide } from '../peers.ts';
import {
  answeredDoubts,
  confirmed,
  OUTDATED,
  refusal,
  type OperatorOrder,
} from './resolve-answers.ts';
import { lockBothSides } from './resolve-lock.ts';
import {
  askFleet,
  countRecords,
  resolutionOf,
  type Look,
  type ResolveLookDependencies,
} from './resolve-look.ts';

export interface DamagedResolveDependencies extends ResolveLookDependencies {
  readonly log: Log;
}

export type DamagedMigration = Migration & {
  readonly damage: Damage;
  readonly damaged: DamagedRecord['damaged'];
};

export function damagedIn(
  store: Pick<MigrationStore, 'journals'>,
  migration: Migration,
): DamagedMigration | undefined {
  const { id, damage } = migration;
  if (damage !== undefined) return { ...migration, damage, damaged: 'request' };
  try {
    store.journals(id);
    return undefined;
  } catch (thrown) {
    const error = toGodwitError(thrown);
    return { ...migration, damage: { error, isGuestKnown: true }, damaged: 'journal' };
  }
}

/**
 * A migration with an unreadable request or journal. The operator sees the readable part and the whole fleet. An
 * operator who answers for each doubt may set the record aside. No copy of the guest is started or ended.
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
    { by, signal, inTurn }: OperatorOrder,
  ): Promise<ResolveAnswer> {
    const { store, log, config } = this.#deps;
    const { id } = migration;
    const { known, inDoubt, records } = await this.#look(migration, signal);
    const { guest, here, from, to } = known;
    const answer = confirmed(known, asked);
    const { runAt } = asked;
    if (here.moverAlive) throw refusal(known, runAt, 'a mover works on it');
    if (!asked.iKnow) {
      const facts = { guest, reason: [answer.why, ...answer.risks].join('; ') };
      const hint = 'Find the host that runs it. Then repeat the command with --yes-i-know.';
      throw godwitError('GODWIT_RESOLVE_UNPROVED', facts, { hint });
    }
    const answersFor = answeredDoubts(known, asked, inDoubt);
    return inTurn(async () => {
      store.need(id);
      // The file that names a mover may be damaged, too: only the locks show that none works on the record.
      const lock = await lockBothSides(migration, config.name);
      if ('heldSide' in lock) throw underMover(known, runAt, lock.heldSide);
      try {
        if (this.#countRecords(id) !== records) throw refusal(known, runAt, OUTDATED);
        log.warn({ id, by, answersFor, runAt }, 'damaged record set aside');
        const dir = store.setAside(id);
        const places = {
          source: `at ${from}`,
          destination: `at ${to}`,
          elsewhere: 'at another host',
        };
        const where = `${guest} is ${places[runAt]}, as ${by.slice(0, 128)} answers`;
        const what = `${where}: the record of ${id} at ${config.name} was set aside in ${dir}`;
        return { what, proof: 'operator', setAside: true };
      } finally {
        lock.release();
      }
    });
  }

  async #look(
    migration: DamagedMigration,
    signal?: AbortSignal,
  ): Promise<Pick<Look, 'known' | 'inDoubt'> & { readonly records: number | undefined }> {
    const { config, peers, sides } = this.#deps;
    const { id, request, damage, damaged } = migration;
    const { fromHost: from, toHost: to } = request;
    const guest = guestOf(migration);
    const other = otherHost(request);
    const records = this.#countRecords(id);
    const [here, asked] = await Promise.all([
      sides.viewOfDamaged(migration),
      other === config.name ? NO_OTHER : peers.side(other, id, signal),
    ]);
    const uuid = here.uuid ?? ('view' in asked ? asked.view.uuid : undefined);
    // Queried as a third host: its own hypervisor counts as one more copy.
    const fleet = await askFleet(this.#deps, migration, { guest, uuid, asker: '', signal });
    const { isGuestKnown, error } = damage;
    const why = error.message;
    const found = { guest, damaged, isGuestKnown, why };
    const record: DamagedRecord = { id, host: config.name, from, to, ...found };
    const inDoubt = doubtsAboutDamaged(record, fleet);
    const answers = judgeDamaged(record, fleet);
    const parts = { here, asked, fencing: false, answers, fleet, inDoubt };
    return { known: resolutionOf(migration, parts), inDoubt, records };
  }

  #countRecords(id: string): number | undefined {
    try {
      return countRecords(this.#deps.store, id);
    } catch {
      return undefined;
    }
  }
}

function underMover(
  { id, guest }: Pick<Resolution, 'id' | 'guest'>,
  runAt: RunAt,
  side: string,
): Error {
  const facts = { id, guest, runAt, reason: `a mover works on its ${side} side` };
  const find = `\`pgrep -af ${id}\` lists its process`;
  const hint = `Wait until it ends, or end it: ${find}, and \`kill PID\` ends it. Then look again.`;
  return godwitError('GODWIT_RESOLVE_REFUSED', facts, { hint });
}

const NO_OTHER: OtherSide = { unreachable: 'no record names the other host', isDark: false };
