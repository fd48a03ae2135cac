import { sql, type RawBuilder } from 'kysely';
import { godwitError } from '../../errors.ts';
import {
  WHOLE_FLEET,
  type Policy,
  type PolicyKind,
  type PolicyLook,
  type PolicySettings,
  type Proposal,
} from '../../protocol/controller/policy.ts';
import type { FleetRequest } from '../../protocol/controller/fleet-request.ts';
import { isSettled } from '../policy/proposals.ts';
import { boundLeases, isDue } from './moments.ts';
import type { Store } from './store.ts';
import { askToWake } from './power.ts';
import { groupsOf, policyView, type PolicyView } from './policy-view.ts';
import { lockProposal, readPolicy, readProposal, writeProposal } from './proposal-rows.ts';
import { addRequest, cancelRequest } from './new-requests.ts';
import type { Db } from './request-rows.ts';

/** A lease by the store's clock, with an epoch. */
export interface PolicyClaim {
  readonly kind: PolicyKind;
  readonly scope: string;
  readonly epoch: number;
}

export interface PolicyChange {
  readonly look: PolicyLook;
  /** Each with its requests, if the policy accepts it. */
  readonly proposals: readonly {
    readonly proposal: Proposal;
    readonly requests: readonly FleetRequest[];
  }[];
  readonly cancel: readonly string[];
  readonly wake: readonly string[];
}

/** Kept proposals of one policy; the oldest settled ones are removed. */
const MAX_KEPT = 2000;
const CANCEL_LET_RUN = 1;
const MAX_AHEAD_MS = 3_600_000;

export class Policies {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async list(): Promise<Policy[]> {
    const rows = await this.#store.db
      .selectFrom('policies')
      .selectAll()
      .orderBy('kind')
      .orderBy('scope')
      .execute();
    return rows.map(readPolicy);
  }

  /**
   * Sets a policy; it looks soon, and a running look's result is dropped. GODWIT_POLICY_OVERLAP if another group of the
   * kind has one of its hosts. `ifSetAtMs`: expected time of the last setting, 0: none; otherwise
   * GODWIT_POLICY_CHANGED.
   */
  async put(
    kind: PolicyKind,
    scope: string,
    settings: PolicySettings,
    by: string,
    ifSetAtMs?: number,
  ): Promise<Policy> {
    const { nowMs } = this.#store;
    return this.#store.transaction(async (db) => {
      await lockKind(db, kind);
      if (ifSetAtMs !== undefined) await mustBeAsRead(db, kind, scope, ifSetAtMs);
      const groups = (await groupsOf(db, kind)).filter((each) => each.scope !== scope);
      const named = new Set(settings.hosts);
      for (const group of groups) {
        const host = group.hosts.find((each) => named.has(each));
        if (host !== undefined)
          throw godwitError('GODWIT_POLICY_OVERLAP', { host, scope: group.scope });
      }
      const set = {
        mode: settings.mode,
        body: JSON.stringify(settings),
        set_by: by.slice(0, 256),
        set_at: nowMs,
        due_at: 0,
      };
      const free = { ...set, lease_until: 0 };
      // The epoch must exceed every epoch of a removed group of this name.
      const fresh = { look: null, owner: '', epoch: nowMs };
      const epoch = sql<number>`policies.epoch + 1`;
      // Strictly increasing whatever the clock does, because the next setting compares it.
      const later = sql<number>`CASE WHEN policies.set_at >= ${nowMs} THEN policies.set_at + 1 ELSE ${nowMs} END`;
      const row = await db
        .insertInto('policies')
        .values({ kind, scope, ...free, ...fresh })
        .onConflict((conflict) =>
          conflict.columns(['kind', 'scope']).doUpdateSet({ ...free, set_at: later, epoch }),
        )
        .returningAll()
        .executeTakeFirstOrThrow();
      return readPolicy(row);
    });
  }

  /** Removes its proposals, too. GODWIT_POLICY_UNKNOWN if there is none. */
  async remove(kind: PolicyKind, scope: string): Promise<void> {
    await this.#store.transaction(async (db) => {
      const { numDeletedRows } = await db
        .deleteFrom('policies')
        .where('kind', '=', kind)
        .where('scope', '=', scope)
        .executeTakeFirst();
      if (numDeletedRows === 0n) throw godwitError('GODWIT_POLICY_UNKNOWN', { kind, scope });
      await db
        .deleteFrom('proposals')
        .where('kind', '=', kind)
        .where('scope', '=', scope)
        .execute();
    });
  }

  async acquire(owner: string, leaseMs: number): Promise<PolicyClaim | undefined> {
    return this.#store.transaction(async (db) => {
      await boundLeases(db, this.#store, 'policies', leaseMs);
      const due = await db
        .selectFrom('policies')
        .select(['kind', 'scope'])
        .where(isDue('due_at', this.#store, MAX_AHEAD_MS))
        .where('lease_until', '<=', this.#store.nowMs)
        .orderBy('due_at')
        .limit(1)
        .executeTakeFirst();
      if (due === undefined) return undefined;
      return this.#take(db, due.kind as PolicyKind, due.scope, { owner, leaseMs, free: true });
    });
  }

  /** Takes the claim from its holder, whose result is dropped. GODWIT_POLICY_UNKNOWN if there is none. */
  async seize(
    kind: PolicyKind,
    scope: string,
    owner: string,
    leaseMs: number,
  ): Promise<PolicyClaim> {
    const claim = await this.#store.transaction((db) =>
      this.#take(db, kind, scope, { owner, leaseMs, free: false }),
    );
    if (claim === undefined) throw godwitError('GODWIT_POLICY_UNKNOWN', { kind, scope });
    return claim;
  }

  /** GODWIT_POLICY_UNKNOWN if it is gone. */
  view(kind: PolicyKind, scope: string): Promise<PolicyView> {
    return this.#store.transaction((db) => policyView(db, kind, scope, this.#store.nowMs));
  }

  /** Atomic; false if the claim is lost. */
  async commit(claim: PolicyClaim, change: PolicyChange, dueInMs: number): Promise<boolean> {
    const { kind, scope, epoch } = claim;
    const until = (ms: number): RawBuilder<number> =>
      sql<number>`${this.#store.nowMs} + ${sql.lit(ms)}`;
    return this.#store.transaction(async (db) => {
      const { numUpdatedRows } = await db
        .updateTable('policies')
        .set({
          look: JSON.stringify(change.look),
          lease_until: 0,
          due_at: until(Math.min(dueInMs, MAX_AHEAD_MS)),
        })
        .where('kind', '=', kind)
        .where('scope', '=', scope)
        .where('epoch', '=', epoch)
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) return false;
      const row = await db
        .selectFrom('policies')
        .selectAll()
        .where('kind', '=', kind)
        .where('scope', '=', scope)
        .executeTakeFirstOrThrow();
      const { rejectedMs } = readPolicy(row);
      for (const { proposal, requests } of change.proposals) {
        if (await isDecided(db, proposal)) continue;
        for (const request of requests) await addRequest(db, request, this.#store.nowMs);
        await writeProposal(db, proposal, isSettled(proposal, change.look.atMs, rejectedMs));
      }
      for (const id of change.cancel) await cancelRequest(db, id, CANCEL_LET_RUN);
      await askToWake(db, change.wake, this.#store.nowMs);
      await prune(db, kind, scope);
      return true;
    });
  }

  async #take(
    db: Db,
    kind: PolicyKind,
    scope: string,
    {
      owner,
      leaseMs,
      free,
    }: { readonly owner: string; readonly leaseMs: number; readonly free: boolean },
  ): Promise<PolicyClaim | undefined> {
    const { nowMs } = this.#store;
    let update = db
      .updateTable('policies')
      .set({
        owner,
        epoch: sql<number>`epoch + 1`,
        lease_until: sql<number>`${nowMs} + ${sql.lit(leaseMs)}`,
      })
      .where('kind', '=', kind)
      .where('scope', '=', scope);
    // The lease is checked again in the write, since another controller may have taken it.
    if (free) update = update.where('lease_until', '<=', this.#store.nowMs);
    const taken = await update.returning('epoch').executeTakeFirst();
    return taken === undefined ? undefined : { kind, scope, epoch: taken.epoch };
  }
}

/** Serializes settings of a kind, so that two new groups see each other's hosts. */
async function lockKind(db: Db, kind: PolicyKind): Promise<void> {
  await db
    .updateTable('policies')
    .set({ scope: WHOLE_FLEET })
    .where('kind', '=', kind)
    .where('scope', '=', WHOLE_FLEET)
    .execute();
}

async function mustBeAsRead(
  db: Db,
  kind: PolicyKind,
  scope: string,
  setAtMs: number,
): Promise<void> {
  const found = await db
    .selectFrom('policies')
    .select(['set_at', 'set_by'])
    .where('kind', '=', kind)
    .where('scope', '=', scope)
    .executeTakeFirst();
  if ((found?.set_at ?? 0) === setAtMs) return;
  const by =
    found === undefined
      ? 'somebody removed it'
      : `${found.set_by} set it at ${new Date(found.set_at).toISOString()}`;
  throw godwitError('GODWIT_POLICY_CHANGED', { kind, scope, by });
}

async function isDecided(
  db: Db,
  { id, state, decidedBy, decidedAtMs }: Proposal,
): Promise<boolean> {
  await lockProposal(db, id);
  const row = await db
    .selectFrom('proposals')
    .select('body')
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) return false;
  const stored = readProposal(row.body);
  if (stored.decidedAtMs === undefined) return false;
  const isSame = decidedBy === stored.decidedBy && decidedAtMs === stored.decidedAtMs;
  return state === 'open' || !isSame;
}

async function prune(db: Db, kind: PolicyKind, scope: string): Promise<void> {
  const ours = db.selectFrom('proposals').where('kind', '=', kind).where('scope', '=', scope);
  const row = await ours
    .select('created_at')
    .orderBy('created_at', 'desc')
    .offset(MAX_KEPT)
    .limit(1)
    .executeTakeFirst();
  if (row === undefined) return;
  await db
    .deleteFrom('proposals')
    .where('kind', '=', kind)
    .where('scope', '=', scope)
    .where('settled', '=', 1)
    .where('created_at', '<=', row.created_at)
    .execute();
}
