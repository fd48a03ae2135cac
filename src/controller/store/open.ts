import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, type Dialect, type Transaction } from 'kysely';
import { hasCode, type GodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import { isConflict, storeFailure, withStoreErrors } from './failures.ts';
import { postgresDialect, type PostgresPlace } from './postgres.ts';
import { bringForward, checkStands, checkVersion, CLOCK, versionOf } from './schema.ts';
import { sqliteDialect } from './sqlite-dialect.ts';
import type { Store } from './store.ts';
import type { Database, Tables } from './tables.ts';

export type StorePlace = { readonly sqlite: string } | { readonly postgres: PostgresPlace };

/** Only while a file is opened; later waits do not block the process, see the dialect. */
const OPEN_BUSY_MS = 2000;
const BUSY_MS = 20;
const TRIES = 5;
const READ_CONNECTIONS = 4;

/**
 * Opens a database and migrates its schema to this version. GODWIT_STORE_NEWER, GODWIT_STORE_FOREIGN: unsuitable for
 * this build; GODWIT_STORE_IN_USE: a controller of an older build uses it. Nothing was changed then. GODWIT_STORE if it
 * cannot be used.
 */
export async function openStore(place: StorePlace, log: Log): Promise<Store> {
  const isFile = 'sqlite' in place;
  const kind = isFile ? 'sqlite' : 'postgres';
  const where = isFile ? place.sqlite : placeOf(place.postgres.url);
  if (isFile) await lookFirst(place.sqlite);
  const dialect = isFile
    ? sqliteDialect(() => openFile(place.sqlite))
    : postgresDialect(place.postgres, log);
  const db = new Kysely<Tables>({ dialect: withStoreErrors(dialect, where) });
  try {
    const before = await bringForward(db, kind, where);
    if (before !== undefined) log.info({ where, ...before }, 'database schema updated');
  } catch (thrown) {
    await db.destroy();
    throw thrown;
  }
  const reads = readsOf(place, db, log);
  const outdated = Promise.withResolvers<GodwitError>();
  const mustStand = async (during: Transaction<Tables>): Promise<void> => {
    await checkStands(during, kind, where).catch((thrown: unknown) => {
      if (hasCode(thrown, 'GODWIT_STORE_NEWER')) outdated.resolve(thrown);
      throw thrown;
    });
  };
  return {
    kind,
    db,
    reads,
    nowMs: CLOCK[kind],
    outdated: outdated.promise,
    transaction: (work) =>
      again(() =>
        db.transaction().execute(async (during) => {
          await mustStand(during);
          return work(during);
        }),
      ),
    close: async () => {
      if (reads !== db) await reads.destroy();
      await db.destroy();
    },
  };
}

function readsOf(place: StorePlace, db: Database, log: Log): Database {
  if (!('sqlite' in place)) {
    const dialect = postgresDialect(place.postgres, log, READ_CONNECTIONS);
    return new Kysely<Tables>({ dialect: withStoreErrors(dialect, placeOf(place.postgres.url)) });
  }
  const { sqlite } = place;
  if (sqlite === ':memory:') return db;
  return new Kysely<Tables>({ dialect: withStoreErrors(readOnly(sqlite), sqlite) });
}

const readOnly = (file: string): Dialect =>
  sqliteDialect(() => new DatabaseSync(file, { timeout: OPEN_BUSY_MS, readOnly: true }));

async function again<T>(transaction: () => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await transaction();
    } catch (thrown) {
      if (tried >= TRIES || !isConflict(thrown)) throw thrown;
    }
  }
}

export function placeOf(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//').replace(/\?[^]*$/, '');
}

function openFile(file: string): DatabaseSync {
  if (file !== ':memory:' && !existsSync(path.dirname(file))) {
    mkdirSync(path.dirname(file), { recursive: true, mode: 0o700 });
  }
  const mask = process.umask(0o077);
  let database: DatabaseSync;
  try {
    database = new DatabaseSync(file, { timeout: OPEN_BUSY_MS });
  } finally {
    process.umask(mask);
  }
  // An accepted request must survive a power loss.
  database.exec(
    `pragma journal_mode = wal; pragma synchronous = full; pragma busy_timeout = ${BUSY_MS};`,
  );
  return database;
}

/** Refuses a foreign file before it is changed: SQLite's journal mode is stored in it. */
async function lookFirst(file: string): Promise<void> {
  if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) === 0) return;
  const look = new Kysely<Tables>({ dialect: withStoreErrors(readOnly(file), file) });
  try {
    checkVersion(await versionOf(look, 'sqlite', file), file);
  } catch (thrown) {
    throw storeFailure(thrown, file);
  } finally {
    await look.destroy();
  }
}
