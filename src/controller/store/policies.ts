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

/** The right to look for one policy: a lease by the clock of the store, with an epoch of its own. */
export interface PolicyClaim {
  readonly kind: PolicyKind;
  readonly scope: string;
  readonly epoch: number;
}

export interface PolicyChange {
  readonly look: PolicyLook;
  /** Each with the requests that it becomes, where the policy accepts it itself. */
  readonly proposals: readonly {
    readonly proposal: Proposal;
    readonly requests: readonly FleetRequest[];
  }[];
  /** Requests of which nothing more begins. */
  readonly cancel: readonly string[];
  /** Hosts that sleep and are needed. */
  readonly wake: readonly string[];
}

/** Proposals of one policy that are kept; the oldest settled ones go. */
const MAX_KEPT = 2000;
const CANCEL_LET_RUN = 1;
/** A policy looks again within this time at the latest. */
const MAX_AHEAD_MS = 3_600_000;

/** Standing policies in the controller's database. */
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
   * It looks soon; a look that began before is not written. GODWIT_POLICY_OVERLAP where another group of the kind has one of
   * its hosts. `ifSetAtMs`: when it was set last, 0 where it was not; GODWIT_POLICY_CHANGED where that is not so any more.
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
      // A group of this name may have been removed: its epochs lie before now.
      const fresh = { look: null, owner: '', epoch: nowMs };
      const epoch = sql<number>`policies.epoch + 1`;
      // Each setting has a moment of its own, whatever the clock does: it is what the next one compares.
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

  /** Its proposals go with it. GODWIT_POLICY_UNKNOWN where there is none. */
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

  /** A policy that is due and that nobody looks for now; undefined where there is none. */
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

  /** Takes it whoever looks for it: what that one finds is not written. GODWIT_POLICY_UNKNOWN where there is none. */
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

  /** GODWIT_POLICY_UNKNOWN where it is there no more. */
  view(kind: PolicyKind, scope: string): Promise<PolicyView> {
    return this.#store.transaction((db) => policyView(db, kind, scope, this.#store.nowMs));
  }

  /** All of it or nothing; false where another one looks for it by now. */
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
        // A person may have decided while this look was made; what he said stands.
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
    // Another controller may have taken it since: its lease is looked at again as the row is written.
    if (free) update = update.where('lease_until', '<=', this.#store.nowMs);
    const taken = await update.returning('epoch').executeTakeFirst();
    return taken === undefined ? undefined : { kind, scope, epoch: taken.epoch };
  }
}

/** Policies of a kind are set one after the other: two new groups with the same host must see each other. */
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

/** The stored one was open or put off when this look began, and is decided by now. */
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
  // Two may decide within a millisecond.
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
