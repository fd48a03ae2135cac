import { webRole } from '../../protocol/controller/session.ts';
import type { WebRole } from '../../protocol/controller/session.ts';
import type { Store } from '../store/open.ts';
import { hashOf, newSecret } from './secrets.ts';
import type { Known } from './tokens.ts';

/** A working day. */
const SESSION_MS = 12 * 3_600_000;
/** Of one person; the oldest ends for a new one. */
const MOST_OF_ONE = 32;

export interface NewSession {
  readonly name: string;
  readonly role: WebRole;
  /** Default: SESSION_MS. */
  readonly lifeMs?: number;
  /** The name of the token by which it is begun, and when that ends; absent: a provider said who it is. */
  readonly token?: { readonly name: string; readonly expiresAtMs: number | undefined };
}

/** Sessions of people's browsers, in the database that all controllers share. */
export class Sessions {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  /** The secret for the cookie, and when the session ends. */
  async begin({ name, role, token, lifeMs = SESSION_MS }: NewSession): Promise<{
    readonly secret: string;
    readonly expiresAtMs: number;
  }> {
    const secret = newSecret('gds');
    const { nowMs } = this.#store;
    const expiresAtMs = await this.#store.transaction(async (db) => {
      await db.deleteFrom('sessions').where('expires_at', '<=', nowMs).execute();
      const { now } = await db.selectNoFrom(nowMs.as('now')).executeTakeFirstOrThrow();
      const end = Math.min(now + lifeMs, token?.expiresAtMs ?? Number.POSITIVE_INFINITY);
      const row = { hash: hashOf(secret), token: token?.name ?? null, name, role };
      await db
        .insertInto('sessions')
        .values({ ...row, created_at: now, expires_at: end })
        .execute();
      const surplus = db
        .selectFrom('sessions')
        .select('hash')
        .where('name', '=', name)
        .orderBy('created_at', 'desc')
        .orderBy('hash')
        .limit(MOST_OF_ONE)
        .offset(MOST_OF_ONE);
      await db.deleteFrom('sessions').where('hash', 'in', surplus).execute();
      return end;
    });
    return { secret, expiresAtMs };
  }

  /**
   * The owner of the session; undefined where the session is not valid. A token's session has the role that the token
   * has now.
   */
  async find(secret: string): Promise<Known | undefined> {
    const { db, nowMs } = this.#store;
    const row = await db
      .selectFrom('sessions')
      .leftJoin('tokens', 'tokens.name', 'sessions.token')
      .select(['sessions.name', 'sessions.role', 'sessions.expires_at', 'token'])
      .select('tokens.role as now')
      .where('sessions.hash', '=', hashOf(secret))
      .where('sessions.expires_at', '>', nowMs)
      .executeTakeFirst();
    if (row === undefined || (row.token !== null && row.now === null)) return undefined;
    const role = webRole.parse(row.now ?? row.role);
    return { name: row.name, role, expiresAtMs: row.expires_at };
  }

  async end(secret: string): Promise<void> {
    await this.#store.db.deleteFrom('sessions').where('hash', '=', hashOf(secret)).execute();
  }
}
