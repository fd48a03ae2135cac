import { sql, type Selectable } from 'kysely';
import { godwitError } from '../../errors.ts';
import { webRole, type WebRole } from '../../protocol/controller/session.ts';
import { MAX_TOKENS, type TokenEntry } from '../../protocol/controller/tokens.ts';
import { momentOf } from '../inventory/answers.ts';
import type { Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { hashOf, newSecret } from './secrets.ts';

/** Interval of writes of a token's last use. */
const USED_EVERY_MS = 60_000;

export interface NewToken {
  readonly name: string;
  readonly role: WebRole;
  readonly expiresInMs?: number | undefined;
  readonly by: string;
}

export interface WebIdentity {
  readonly name: string;
  readonly role: WebRole;
  readonly expiresAtMs: number | undefined;
}

export class Tokens {
  readonly #store: Store;

  constructor(store: Store) {
    this.#store = store;
  }

  async list(): Promise<TokenEntry[]> {
    const rows = await this.#valid().orderBy('name').limit(MAX_TOKENS).execute();
    return rows.map(entryOf);
  }

  /** GODWIT_TOKEN_TAKEN if the name has a valid token; GODWIT_OVERLOADED if there are too many. */
  async create({ name, role, expiresInMs, by }: NewToken): Promise<{
    readonly token: string;
    readonly entry: TokenEntry;
  }> {
    const token = newSecret('gdw');
    const { nowMs } = this.#store;
    const entry = await this.#store.transaction(async (db) => {
      await db.deleteFrom('tokens').where('expires_at', '<=', nowMs).execute();
      const { count } = await db
        .selectFrom('tokens')
        .select(({ fn }) => fn.countAll<number | bigint | string>().as('count'))
        .executeTakeFirstOrThrow();
      if (Number(count) >= MAX_TOKENS)
        throw godwitError(
          'GODWIT_OVERLOADED',
          { what: 'the list of tokens', limit: MAX_TOKENS },
          {
            hint: 'Revoke some that nobody uses: `godwit token list`, `godwit token revoke NAME`.',
          },
        );
      const row = await db
        .insertInto('tokens')
        .values({
          name,
          hash: hashOf(token),
          role,
          created_at: nowMs,
          created_by: by,
          expires_at:
            expiresInMs === undefined ? null : sql<number>`${nowMs} + ${sql.lit(expiresInMs)}`,
          used_at: null,
        })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .returningAll()
        .executeTakeFirst();
      if (row === undefined) throw godwitError('GODWIT_TOKEN_TAKEN', { name });
      return entryOf(row);
    });
    return { token, entry };
  }

  /** Ends its sessions, too. GODWIT_TOKEN_UNKNOWN if there is none. */
  async revoke(name: string): Promise<void> {
    await this.#store.transaction(async (db) => {
      const gone = await db
        .deleteFrom('tokens')
        .where('name', '=', name)
        .returning('hash')
        .executeTakeFirst();
      if (gone === undefined) throw godwitError('GODWIT_TOKEN_UNKNOWN', { name });
      await db.deleteFrom('sessions').where('token_hash', '=', gone.hash).execute();
    });
  }

  async find(secret: string): Promise<WebIdentity | undefined> {
    const { nowMs } = this.#store;
    const row = await this.#valid()
      .where('hash', '=', hashOf(secret))
      .select(nowMs.as('now'))
      .executeTakeFirst();
    if (row === undefined) return undefined;
    const { name, used_at: usedAt, expires_at: expiresAt } = row;
    if (row.now - (usedAt ?? 0) >= USED_EVERY_MS)
      await this.#store.transaction((db) =>
        db.updateTable('tokens').set({ used_at: nowMs }).where('name', '=', name).execute(),
      );
    return { name, role: webRole.parse(row.role), expiresAtMs: expiresAt ?? undefined };
  }

  /** Hashes of valid secrets, most recently used first. */
  async hashes(limit: number): Promise<string[]> {
    const { db, nowMs } = this.#store;
    const rows = await db
      .selectFrom('tokens')
      .select('hash')
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', nowMs)]))
      .orderBy(({ fn }) => fn.coalesce('used_at', 'created_at'), 'desc')
      .limit(limit)
      .execute();
    return rows.map(({ hash }) => hash);
  }

  #valid() {
    const { db, nowMs } = this.#store;
    return db
      .selectFrom('tokens')
      .selectAll()
      .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', nowMs)]));
  }
}

function entryOf(row: Selectable<Tables['tokens']>): TokenEntry {
  const { name, created_by: createdBy, expires_at: expiresAt, used_at: usedAt } = row;
  return {
    name,
    role: webRole.parse(row.role),
    createdAt: momentOf(row.created_at),
    createdBy,
    ...(expiresAt === null ? {} : { expiresAt: momentOf(expiresAt) }),
    ...(usedAt === null ? {} : { usedAt: momentOf(usedAt) }),
  };
}
