import {
  isRequestEnd,
  type Move,
  type FleetRequest,
  type FleetRequestAsk,
} from '../../protocol/controller/fleet-request.ts';
import { sql, type RawBuilder } from 'kysely';
import { systemClock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import type { Change, Claim, RequestStore, RequestView, CommitOutcome } from '../engine/ports.ts';
import type { World } from '../requests/facts.ts';
import type { Cancel } from '../requests/moves.ts';
import { boundLeases, isDue } from './moments.ts';
import type { Store } from './store.ts';
import { readShared, SharedWorld, withOwn } from './shared-world.ts';
import {
  addRequest,
  cancelRequest,
  markDraining,
  openDrain,
  openHost,
  raiseAdmission,
  sameAsked,
  undrainHost,
} from './new-requests.ts';
import {
  MAX_LISTED,
  nextEpoch,
  readMove,
  readRequest,
  reservedMoves,
  sentFor,
  updateClaim,
  writeMove,
  forgetAtDead,
  type Db,
} from './request-rows.ts';

const CANCELS: readonly Cancel[] = ['no', 'let-run', 'roll-back'];
const isRecovered = ({ recovers, phase }: Move): boolean =>
  recovers !== undefined && phase === 'done';

const MAX_AHEAD_MS = 60_000;

/** The decision's basis has changed; rolls the transaction back. */
class ChangedFactsError extends Error {}

/** Every write is one transaction. */
export class Requests implements RequestStore {
  readonly #store: Store;
  readonly #shared: SharedWorld;

  constructor(store: Store) {
    this.#store = store;
    this.#shared = new SharedWorld(store, () => systemClock.monotonicMs());
  }

  async add(request: FleetRequest): Promise<void> {
    await this.#store.transaction((db) => addRequest(db, request, this.#until(0)));
  }

  async list(): Promise<FleetRequest[]> {
    const rows = await this.#store.db
      .selectFrom('requests')
      .select('body')
      .orderBy('created_at', 'desc')
      .limit(MAX_LISTED)
      .execute();
    return rows.map(({ body }) => readRequest(body));
  }

  /** GODWIT_REQUEST_TAKEN if its content differs. */
  async sameAsked(id: string, ask: FleetRequestAsk): Promise<FleetRequest | undefined> {
    return this.#store.transaction((db) => sameAsked(db, id, ask));
  }

  /** With all of its moves. GODWIT_REQUEST_UNKNOWN if there is none. */
  async get(id: string): Promise<{ request: FleetRequest; moves: Move[] }> {
    const { db } = this.#store;
    const row = await db
      .selectFrom('requests')
      .select('body')
      .where('id', '=', id)
      .executeTakeFirst();
    if (row === undefined) throw godwitError('GODWIT_REQUEST_UNKNOWN', { request: id });
    const moves = await db
      .selectFrom('moves')
      .select('body')
      .where('request_id', '=', id)
      .orderBy('created_at')
      .execute();
    return { request: readRequest(row.body), moves: moves.map(({ body }) => readMove(body)) };
  }

  /** Stops further moves. False if it has ended. GODWIT_REQUEST_UNKNOWN if there is none. */
  async cancel(id: string, how: Exclude<Cancel, 'no'>): Promise<boolean> {
    const asked = CANCELS.indexOf(how);
    if (await this.#store.transaction((db) => cancelRequest(db, id, asked))) return true;
    await this.get(id);
    return false;
  }

  async openDrain(host: string): Promise<string | undefined> {
    return this.#store.transaction((db) => openDrain(db, host));
  }

  async undrain(host: string): Promise<void> {
    await this.#store.transaction((db) => undrainHost(db, host, CANCELS.indexOf('let-run')));
  }

  /** A plan's input, apart from the fleet. Read only. */
  async world(): Promise<Omit<World, 'hosts' | 'guests' | 'labels'>> {
    const { marks, limits, reservations: all } = await readShared(this.#store);
    const reservations = all.filter(({ givenBackAtMs }) => givenBackAtMs === undefined);
    const { now: nowMs } = await this.#store.db
      .selectNoFrom(this.#store.nowMs.as('now'))
      .executeTakeFirstOrThrow();
    return { nowMs, marks, limits, reservations, others: [] };
  }

  async acquire(owner: string, leaseMs: number): Promise<Claim | undefined> {
    const isFree = sql<boolean>`claims.lease_until <= ${this.#store.nowMs}`;
    return this.#store.transaction(async (db) => {
      await boundLeases(db, this.#store, 'claims', leaseMs);
      const due = await db
        .selectFrom('requests')
        .leftJoin('claims', 'claims.request_id', 'requests.id')
        .select('requests.id')
        .where('requests.ended_at', 'is', null)
        .where(isDue('requests.due_at', this.#store, MAX_AHEAD_MS))
        .where((eb) => eb.or([eb('claims.lease_until', 'is', null), isFree]))
        .orderBy('requests.priority', 'desc')
        .orderBy('requests.due_at')
        .limit(1)
        .executeTakeFirst();
      if (due === undefined) return undefined;
      const epoch = await nextEpoch(db);
      const lease = { owner, epoch, lease_until: this.#until(leaseMs) };
      // The lease is checked again in the write, since another controller may have taken it.
      const written = await db
        .insertInto('claims')
        .values({ request_id: due.id, ...lease })
        .onConflict((conflict) => conflict.column('request_id').doUpdateSet(lease).where(isFree))
        .returning('epoch')
        .executeTakeFirst();
      return written === undefined ? undefined : { request: due.id, owner, epoch };
    });
  }

  async advance(claim: Claim, leaseMs: number): Promise<Claim | undefined> {
    return this.#store.transaction(async (db) => {
      const epoch = await nextEpoch(db);
      const set = { epoch, lease_until: this.#until(leaseMs) };
      return (await updateClaim(db, claim, set)) ? { ...claim, epoch } : undefined;
    });
  }

  async renew(claim: Claim, leaseMs: number): Promise<boolean> {
    const set = { lease_until: this.#until(leaseMs) };
    return this.#store.transaction((db) => updateClaim(db, claim, set));
  }

  async renewAll(claims: readonly Claim[], leaseMs: number): Promise<void> {
    if (claims.length === 0) return;
    const renewed = { lease_until: this.#until(leaseMs) };
    const [requests, epochs] = [
      claims.map(({ request }) => request),
      claims.map(({ epoch }) => epoch),
    ];
    await this.#store.transaction((db) =>
      db
        .updateTable('claims')
        .set(renewed)
        .where('request_id', 'in', requests)
        .where('epoch', 'in', epochs)
        // A claim released while this write waited stays released.
        .where('lease_until', '>', 0)
        .execute(),
    );
  }

  /** Not a transaction: a change between the reads makes the first-read version stale. */
  async view(claim: Claim, leaseMs: number): Promise<RequestView | undefined> {
    const { nowMs, db } = this.#store;
    const row = await db
      .selectFrom('claims')
      .innerJoin('requests', 'requests.id', 'claims.request_id')
      .innerJoin('counters', (join) => join.onTrue())
      .select(['body', 'cancel_asked', 'version', 'lease_until', nowMs.as('now')])
      .select('counters.value as count')
      .where('counters.name', '=', 'admission')
      .where('claims.request_id', '=', claim.request)
      .where('claims.epoch', '=', claim.epoch)
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const isHalfOver = row.lease_until - row.now < leaseMs / 2;
    if (isHalfOver && !(await this.renew(claim, leaseMs))) return undefined;
    // Parsed before the shared reading; otherwise all requests would be parsed at once.
    const request = readRequest(row.body);
    const moves = await reservedMoves(this.#store, claim.request);
    const { admission, ...shared } = await this.#shared.at(row.count);
    const spentBytes =
      request.ask.budgetBytes === undefined ? undefined : await sentFor(this.#store, claim.request);
    const reservations = withOwn(shared.reservations, claim.request, moves, row.now);
    return {
      request,
      moves,
      cancel: CANCELS[row.cancel_asked] ?? 'let-run',
      world: {
        ...shared,
        nowMs: row.now,
        reservations,
        ...defined({ spentBytes }),
      },
      admission,
      version: row.version,
    };
  }

  async commit(claim: Claim, change: Change): Promise<CommitOutcome> {
    try {
      return await this.#store.transaction(async (db) => {
        // Locks the row against a takeover until the write is done.
        if (!(await updateClaim(db, claim, { owner: claim.owner }))) return 'stale';
        await this.#writeRequest(db, change);
        for (const each of change.moves) await writeMove(db, each, this.#store);
        for (const each of change.moves.filter(isRecovered)) await forgetAtDead(db, each);
        await this.#writeMarks(db, change);
        return 'written';
      });
    } catch (thrown) {
      if (thrown instanceof ChangedFactsError) return 'changed';
      throw thrown;
    }
  }

  async release(claim: Claim, dueInMs: number): Promise<void> {
    await this.#store.transaction(async (db) => {
      if (!(await updateClaim(db, claim, { lease_until: 0 }))) return;
      await db
        .updateTable('requests')
        .set({ due_at: this.#until(Math.min(dueInMs, MAX_AHEAD_MS)) })
        .where('id', '=', claim.request)
        .execute();
    });
  }

  #until(ms: number): RawBuilder<number> {
    return sql<number>`${this.#store.nowMs} + ${sql.lit(Math.round(ms))}`;
  }

  async #writeMarks(db: Db, { request, closes, opens }: Change): Promise<void> {
    if (closes !== undefined) {
      await raiseAdmission(db);
      await markDraining(db, request.id, closes, this.#until(0));
    }
    if (opens !== undefined) await openHost(db, opens, request.id);
  }

  async #writeRequest(db: Db, { request, version, admission, begins }: Change): Promise<void> {
    if (admission !== undefined) {
      const { numUpdatedRows } = await db
        .updateTable('counters')
        .set({ value: admission + 1 })
        .where('name', '=', 'admission')
        .where('value', '=', admission)
        .executeTakeFirst();
      if (numUpdatedRows !== 1n) throw new ChangedFactsError();
    }
    const ended = isRequestEnd(request.phase)
      ? { ended_at: request.endedAtMs ?? request.createdAtMs }
      : {};
    let update = db
      .updateTable('requests')
      .set({
        state: request.phase,
        body: JSON.stringify(request),
        version: version + 1,
        ...ended,
      })
      .where('id', '=', request.id)
      .where('version', '=', version);
    if (admission !== undefined || begins === true) update = update.where('cancel_asked', '=', 0);
    const { numUpdatedRows } = await update.executeTakeFirst();
    if (numUpdatedRows !== 1n) throw new ChangedFactsError();
  }
}
