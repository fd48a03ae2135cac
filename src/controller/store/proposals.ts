import type { RawBuilder } from 'kysely';
import { godwitError } from '../../errors.ts';
import type { Proposal, ProposalState } from '../../protocol/controller/policy.ts';
import { accepted } from '../policy/proposals.ts';
import type { Store } from './store.ts';
import { lockProposal, readProposal, writeProposal } from './proposal-rows.ts';
import { addRequest } from './new-requests.ts';
import type { Db } from './request-rows.ts';

export interface ProposalsAsked {
  readonly state?: ProposalState | undefined;
  readonly kind?: string | undefined;
  readonly scope?: string | undefined;
  readonly after?: { readonly createdAtMs: number; readonly id: string } | undefined;
  readonly limit: number;
}

/** Each decision is one transaction. */
export class Proposals {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async list({ state, kind, scope, after, limit }: ProposalsAsked): Promise<Proposal[]> {
    let rows = this.#store.db
      .selectFrom('proposals')
      .select('body')
      .orderBy('created_at', 'desc')
      .orderBy('id', 'desc');
    if (state !== undefined) rows = rows.where('state', '=', state);
    if (kind !== undefined) rows = rows.where('kind', '=', kind);
    if (scope !== undefined) rows = rows.where('scope', '=', scope);
    if (after !== undefined) {
      const { createdAtMs, id } = after;
      rows = rows.where((eb) =>
        eb(eb.refTuple('created_at', 'id'), '<', eb.tuple(createdAtMs, id)),
      );
    }
    const found = await rows.limit(limit).execute();
    return found.map(({ body }) => readProposal(body));
  }

  /** GODWIT_PROPOSAL_UNKNOWN if there is none. */
  async get(id: string): Promise<Proposal> {
    return this.#store.transaction((db) => proposalIn(db, id));
  }

  /**
   * Requests its moves; in approve mode, those of all open proposals of its look. GODWIT_PROPOSAL_CLOSED if it is
   * decided or expired; GODWIT_REQUEST_OPEN if one of its guests already has a request.
   */
  async accept(id: string, by: string): Promise<{ accepted: string[]; requests: string[] }> {
    return this.#store.transaction(async (db) => {
      const first = await undecided(db, id);
      const all = (await isApproved(db, first)) ? await ofRun(db, first) : [first];
      const nowMs = await this.#now(db);
      const done = all.map((each) => accepted(each, { nowMs, by: by.slice(0, 256) }));
      for (const { proposal, requests } of done) {
        for (const request of requests) await addRequest(db, request, this.#store.nowMs);
        await writeProposal(db, proposal, false);
      }
      return {
        accepted: done.map(({ proposal }) => proposal.id),
        requests: done.flatMap(({ proposal }) => proposal.requests),
      };
    });
  }

  /** GODWIT_PROPOSAL_CLOSED if it is decided or expired. */
  async reject(id: string, reason: string, by: string): Promise<Proposal> {
    return this.#decide(id, by, () => ({ state: 'rejected', why: reason }));
  }

  /** Hides similar proposals for that time. GODWIT_PROPOSAL_CLOSED if it is decided or expired. */
  async snooze(id: string, forMs: number, by: string): Promise<Proposal> {
    return this.#decide(id, by, (nowMs) => ({ state: 'snoozed', snoozedUntilMs: nowMs + forMs }));
  }

  async #decide(
    id: string,
    by: string,
    change: (nowMs: number) => Pick<Proposal, 'state' | 'why' | 'snoozedUntilMs'>,
  ): Promise<Proposal> {
    return this.#store.transaction(async (db) => {
      const before = await undecided(db, id);
      const nowMs = await this.#now(db);
      const decided = { decidedBy: by.slice(0, 256), decidedAtMs: nowMs };
      const after: Proposal = { ...before, ...decided, ...change(nowMs) };
      await writeProposal(db, after, false);
      return after;
    });
  }

  async #now(db: Db): Promise<number> {
    const now: RawBuilder<number> = this.#store.nowMs;
    const row = await db
      .selectFrom('counters')
      .select(now.as('now'))
      .limit(1)
      .executeTakeFirstOrThrow();
    return row.now;
  }
}

async function proposalIn(db: Db, id: string): Promise<Proposal> {
  const row = await db
    .selectFrom('proposals')
    .select('body')
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) throw godwitError('GODWIT_PROPOSAL_UNKNOWN', { proposal: id });
  return readProposal(row.body);
}

/** Locks the row before reading it, against concurrent decisions. */
async function undecided(db: Db, id: string): Promise<Proposal> {
  await lockProposal(db, id);
  const found = await proposalIn(db, id);
  if (found.state === 'open' || found.state === 'snoozed') return found;
  throw godwitError('GODWIT_PROPOSAL_CLOSED', { proposal: id, state: found.state });
}

async function isApproved(db: Db, { kind, scope }: Proposal): Promise<boolean> {
  const row = await db
    .selectFrom('policies')
    .select('mode')
    .where('kind', '=', kind)
    .where('scope', '=', scope)
    .executeTakeFirst();
  return row?.mode === 'approve';
}

async function ofRun(db: Db, first: Proposal): Promise<Proposal[]> {
  const rows = await db
    .selectFrom('proposals')
    .select('id')
    .where('kind', '=', first.kind)
    .where('scope', '=', first.scope)
    .where('run', '=', first.run)
    .where('state', '=', 'open')
    .orderBy('id')
    .execute();
  const all = [first];
  for (const { id } of rows) {
    if (id === first.id) continue;
    await lockProposal(db, id);
    const found = await proposalIn(db, id);
    if (found.state === 'open') all.push(found);
  }
  return all;
}
