import { sql, type Selectable } from 'kysely';
import { godwitError } from '../../errors.ts';
import { webRole, type SessionEntry, type WebRole } from '../../protocol/controller/session.ts';
import { momentOf } from '../inventory/answers.ts';
import type { Store } from '../store/open.ts';
import type { Tables } from '../store/tables.ts';
import { hashOf, newSecret } from './secrets.ts';
import type { Known } from './tokens.ts';

/** A working day. */
const SESSION_MS = 12 * 3_600_000;
/** Sessions of one token or one person; the oldest ends for a new one. */
const MAX_EACH = 32;
const ID_DIGITS = 16;

export interface NewSession {
  readonly name: string;
  readonly role: WebRole;
  /** Default: SESSION_MS. */
  readonly lifeMs?: number;
  /** The token with which it begins, and the end of that token. */
  readonly token?: { readonly name: string; readonly expiresAtMs: number | undefined };
  /** The person whom a provider has named. */
  readonly person?: { readonly issuer: string; readonly subject: string };
}

export interface SessionsAsked {
  readonly name?: string | undefined;
  readonly limit: number;
  /** The last entry of the page before. */
  readonly after?: { readonly atMs: number; readonly id: string } | undefined;
}

/** Sessions of people's browsers, in the database that all controllers share. */
export class Sessions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The secret for the cookie, and when the session ends. */
  async begin({ name, role, token, person, lifeMs = SESSION_MS }: NewSession): Promise<{
    readonly secret: string;
    readonly expiresAtMs: number;
  }> {
    const secret = newSecret('gds');
    const { nowMs } = this.#store;
    const expiresAtMs = await this.#store.transaction(async (db) => {
      await db.deleteFrom('sessions').where('expires_at', '<=', nowMs).execute();
      const { now } = await db.selectNoFrom(nowMs.as('now')).executeTakeFirstOrThrow();
      const end = Math.min(now + lifeMs, token?.expiresAtMs ?? Number.POSITIVE_INFINITY);
      const [issuer, subject] = [person?.issuer ?? null, person?.subject ?? null];
      const owner = { token: token?.name ?? null, issuer, subject };
      const row = { hash: hashOf(secret), ...owner, name, role };
      await db
        .insertInto('sessions')
        .values({ ...row, created_at: now, expires_at: end })
        .execute();
      const surplus = db
        .selectFrom('sessions')
        .select('hash')
        .where((eb) =>
          person === undefined ? eb('token', '=', owner.token) : eb.and({ issuer, subject }),
        )
        .orderBy('created_at', 'desc')
        .orderBy('hash')
        .limit(MAX_EACH)
        .offset(MAX_EACH);
      await db.deleteFrom('sessions').where('hash', 'in', surplus).execute();
      return end;
    });
    return { secret, expiresAtMs };
  }

  /** The owner of the session; undefined if the session is not valid. A token's session has the token's present role. */
  async find(secret: string): Promise<Known | undefined> {
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

  /** The number of sessions that ended. */
  async endByName(name: string): Promise<number> {
    const ended = await this.#store.transaction((db) =>
      db.deleteFrom('sessions').where('name', '=', name).executeTakeFirst(),
    );
    return Number(ended.numDeletedRows);
  }

  /** The hashes of valid secrets, the newest first. */
  async hashes(limit: number): Promise<string[]> {
    const newest = this.#valid().orderBy('sessions.created_at', 'desc').limit(limit);
    return (await newest.execute()).map(({ hash }) => hash);
  }

  /** Without sessions whose token was revoked. */
  #valid() {
    const { db, nowMs } = this.#store;
    return db
      .selectFrom('sessions')
      .leftJoin('tokens', 'tokens.name', 'sessions.token')
      .selectAll('sessions')
      .select('tokens.role as now')
      .where('sessions.expires_at', '>', nowMs)
      .where((eb) => eb.or([eb('sessions.token', 'is', null), eb('tokens.role', 'is not', null)]));
  }
}

const idOf = sql<string>`substr(sessions.hash, 1, ${sql.lit(ID_DIGITS)})`;

function entryOf(
  row: Selectable<Tables['sessions']> & { readonly now: string | null },
): SessionEntry {
  const { hash, name, token, issuer, subject } = row;
  return {
    id: hash.slice(0, ID_DIGITS),
    name,
    role: webRole.parse(row.now ?? row.role),
    ...(token === null ? {} : { token }),
    ...(issuer === null || subject === null ? {} : { issuer, subject }),
    createdAt: momentOf(row.created_at),
    expiresAt: momentOf(row.expires_at),
  };
}
