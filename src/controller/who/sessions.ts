import { sql, type Selectable, type Transaction } from 'kysely';
import { godwitError } from '../../errors.ts';
import { webRole, type SessionEntry, type WebRole } from '../../protocol/controller/session.ts';
import { momentOf } from '../inventory/answers.ts';
import type { Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { hashOf, newSecret } from './secrets.ts';
import type { WebIdentity } from './tokens.ts';

/** A working day. */
const SESSION_MS = 12 * 3_600_000;
/** Sessions of one token or person; a new one ends the oldest. */
const MAX_EACH = 32;
const ID_DIGITS = 16;

export type NewSession = { readonly token: string } | PersonSession;

interface PersonSession {
  readonly person: { readonly issuer: string; readonly subject: string };
  readonly name: string;
  readonly role: WebRole;
  readonly lifeMs?: number;
}

interface NewSecret extends WebIdentity {
  readonly secret: string;
  readonly expiresAtMs: number;
}

type Owner = Pick<
  Selectable<Tables['sessions']>,
  'token_hash' | 'issuer' | 'subject' | 'name' | 'role' | 'expires_at'
>;

export interface SessionsAsked {
  readonly name?: string | undefined;
  readonly limit: number;
  readonly after?: { readonly atMs: number; readonly id: string } | undefined;
}

export class Sessions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** Returns the cookie's secret and the owner. GODWIT_TOKEN_REFUSED if the token was revoked meanwhile. */
  async begin(session: NewSession): Promise<NewSecret> {
    const secret = newSecret('gds');
    const { nowMs } = this.#store;
    const owner = await this.#store.transaction(async (db) => {
      await db.deleteFrom('sessions').where('expires_at', '<=', nowMs).execute();
      const { now } = await db.selectNoFrom(nowMs.as('now')).executeTakeFirstOrThrow();
      const found =
        'token' in session ? await tokenOwner(db, session.token, now) : personOwner(session, now);
      await db
        .insertInto('sessions')
        .values({ hash: hashOf(secret), ...found, created_at: now })
        .execute();
      const { token_hash: tokenHash, issuer, subject } = found;
      const surplus = db
        .selectFrom('sessions')
        .select('hash')
        .where((eb) =>
          tokenHash === null ? eb.and({ issuer, subject }) : eb('token_hash', '=', tokenHash),
        )
        .orderBy('created_at', 'desc')
        .orderBy('hash')
        .limit(MAX_EACH)
        .offset(MAX_EACH);
      await db.deleteFrom('sessions').where('hash', 'in', surplus).execute();
      return found;
    });
    const { name, role, expires_at: expiresAtMs } = owner;
    return { secret, name, role: webRole.parse(role), expiresAtMs };
  }

  /** The owner of a valid session. A token's session has the token's present role. */
  async find(secret: string): Promise<WebIdentity | undefined> {
    const row = await this.#valid().where('sessions.hash', '=', hashOf(secret)).executeTakeFirst();
    if (row === undefined) return undefined;
    const role = webRole.parse(row.now ?? row.role);
    return { name: row.name, role, expiresAtMs: row.expires_at };
  }

  /** Newest first, one entry more than `limit` if there are more. */
  async list({ name, limit, after }: SessionsAsked): Promise<SessionEntry[]> {
    let rows = this.#valid();
    if (name !== undefined) rows = rows.where('sessions.name', '=', name);
    if (after !== undefined) {
      const { atMs, id } = after;
      rows = rows.where((eb) =>
        eb.or([
          eb('sessions.created_at', '<', atMs),
          eb.and([eb('sessions.created_at', '=', atMs), eb('sessions.hash', '<', id)]),
        ]),
      );
    }
    const found = await rows
      .orderBy('sessions.created_at', 'desc')
      .orderBy('sessions.hash', 'desc')
      .limit(limit + 1)
      .execute();
    return found.map(entryOf);
  }

  async end(secret: string): Promise<void> {
    await this.#store.transaction((db) =>
      db.deleteFrom('sessions').where('hash', '=', hashOf(secret)).execute(),
    );
  }

  /** GODWIT_SESSION_UNKNOWN. */
  async endById(id: string): Promise<void> {
    const ended = await this.#store.transaction((db) =>
      db.deleteFrom('sessions').where(idOf, '=', id).executeTakeFirst(),
    );
    if (ended.numDeletedRows === 0n) throw godwitError('GODWIT_SESSION_UNKNOWN', { id });
  }

  async endByName(name: string): Promise<number> {
    const ended = await this.#store.transaction((db) =>
      db.deleteFrom('sessions').where('name', '=', name).executeTakeFirst(),
    );
    return Number(ended.numDeletedRows);
  }

  async hashes(limit: number): Promise<string[]> {
    const newest = this.#valid().orderBy('sessions.created_at', 'desc').limit(limit);
    return (await newest.execute()).map(({ hash }) => hash);
  }

  /**
   * Excludes sessions of revoked tokens. Tokens are matched by hash: a revocation concurrent with a sign-in can miss
   * the new row, and a later token of that name must not revive it.
   */
  #valid() {
    const { db, nowMs } = this.#store;
    return db
      .selectFrom('sessions')
      .leftJoin('tokens', 'tokens.hash', 'sessions.token_hash')
      .selectAll('sessions')
      .select('tokens.role as now')
      .where('sessions.expires_at', '>', nowMs)
      .where((eb) =>
        eb.or([eb('sessions.token_hash', 'is', null), eb('tokens.role', 'is not', null)]),
      );
  }
}

async function tokenOwner(db: Transaction<Tables>, secret: string, now: number): Promise<Owner> {
  const hash = hashOf(secret);
  const token = await db
    .selectFrom('tokens')
    .select(['name', 'role', 'expires_at'])
    .where('hash', '=', hash)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .executeTakeFirst();
  if (token === undefined) throw godwitError('GODWIT_TOKEN_REFUSED', { what: 'the token' });
  const { name, role, expires_at: tokenEnd } = token;
  const end = Math.min(now + SESSION_MS, tokenEnd ?? Number.POSITIVE_INFINITY);
  return { token_hash: hash, issuer: null, subject: null, name, role, expires_at: end };
}

function personOwner(
  { person, name, role, lifeMs = SESSION_MS }: PersonSession,
  now: number,
): Owner {
  return { token_hash: null, ...person, name, role, expires_at: now + lifeMs };
}

const idOf = sql<string>`substr(sessions.hash, 1, ${sql.lit(ID_DIGITS)})`;

function entryOf(
  row: Selectable<Tables['sessions']> & { readonly now: string | null },
): SessionEntry {
  const { hash, name, token_hash: tokenHash, issuer, subject } = row;
  return {
    id: hash.slice(0, ID_DIGITS),
    name,
    role: webRole.parse(row.now ?? row.role),
    ...(tokenHash === null ? {} : { token: name }),
    ...(issuer === null || subject === null ? {} : { issuer, subject }),
    createdAt: momentOf(row.created_at),
    expiresAt: momentOf(row.expires_at),
  };
}
