import { sql, type Transaction } from 'kysely';
import { godwitError } from '../../errors.ts';
import type { Database, StoreKind, Tables } from './tables.ts';
import { VERSIONS } from './versions.ts';

const PRODUCT = 'godwit controller';
/** The newest version that this build knows. */
export const SCHEMA_VERSION = VERSIONS.length;
/** Of an advisory lock: two controllers that start at once bring the schema forward one after the other. */
const LOCK = 1_196_377_943;

/** The clock of each database, ms since 1970. */
export const CLOCK = {
  sqlite: sql<number>`cast(unixepoch('subsec') * 1000 as integer)`,
  postgres: sql<number>`cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint)`,
} as const;
/** No sign of life holds for longer, ms: one that seems to was written before the clock was set back. */
const MAX_ALIVE_MS = 16_000;

/** 0: nothing is there. GODWIT_STORE_FOREIGN where it belongs to something else. */
export async function versionOf(db: Database, kind: StoreKind, where: string): Promise<number> {
  const tables = await tablesOf(db, kind);
  if (tables.length === 0) return 0;
  const foreign = (what: string) => godwitError('GODWIT_STORE_FOREIGN', { where, what });
  if (!tables.includes('godwit_schema')) {
    throw foreign(`it has ${tables.length} tables, among them ${String(tables[0])}`);
  }
  const rows = await db.selectFrom('godwit_schema').selectAll().execute();
  const [row] = rows;
  if (rows.length !== 1 || row?.product !== PRODUCT) throw foreign('its mark is another');
  if (!Number.isInteger(row.version) || row.version < 1) throw foreign('its version is no number');
  return row.version;
}

export function checkVersion(version: number, where: string): void {
  if (version <= SCHEMA_VERSION) return;
  throw godwitError('GODWIT_STORE_NEWER', { where, version, known: SCHEMA_VERSION });
}

/**
 * A controller of an older build knows nothing of what a newer one keeps in the same tables: it would count room that was
 * given back, or promise it twice.
 */
async function checkUnused(
  db: Database,
  kind: StoreKind,
  facts: { readonly where: string; readonly version: number; readonly known: number },
): Promise<void> {
  const now = CLOCK[kind];
  const alive = await db
    .selectFrom('controllers')
    .select('name')
    .where('alive_until', '>', now)
    .where('alive_until', '<', sql<number>`${now} + ${sql.lit(MAX_ALIVE_MS)}`)
    .orderBy('name')
    .execute();
  if (alive.length === 0) return;
  const controllers = alive.map(({ name }) => name).join(', ');
  throw godwitError('GODWIT_STORE_IN_USE', { ...facts, controllers });
}

/**
 * The first of each transaction: GODWIT_STORE_NEWER where a newer build has brought the schema forward since it was opened,
 * as it may where this controller was stalled for longer than it counts as alive. None brings it forward until this one ends.
 */
export async function checkStands(
  during: Transaction<Tables>,
  kind: StoreKind,
  where: string,
): Promise<void> {
  // A statement of its own: the next one sees what was written before it had the lock.
  if (kind === 'postgres')
    await sql`select pg_advisory_xact_lock_shared(${sql.lit(LOCK)})`.execute(during);
  const found = await during.selectFrom('godwit_schema').select('version').executeTakeFirst();
  checkVersion(found?.version ?? 0, where);
}

/**
 * What was changed; undefined where the schema is the newest. All in one transaction, or nothing. GODWIT_STORE_IN_USE where
 * a controller of an older build works on it.
 */
export async function bringForward(
  db: Database,
  kind: StoreKind,
  where: string,
  to = SCHEMA_VERSION,
): Promise<{ readonly from: number; readonly to: number } | undefined> {
  return db.transaction().execute(async (during) => {
    if (kind === 'postgres')
      await sql`select pg_advisory_xact_lock(${sql.lit(LOCK)})`.execute(during);
    const from = await versionOf(during, kind, where);
    checkVersion(from, where);
    if (from >= to) return undefined;
    if (from === 0) {
      await during.schema
        .createTable('godwit_schema')
        .addColumn('product', 'text', (c) => c.notNull())
        .addColumn('version', 'integer', (c) => c.notNull())
        .execute();
      await during.insertInto('godwit_schema').values({ product: PRODUCT, version: 0 }).execute();
    } else await checkUnused(during, kind, { where, version: from, known: to });
    for (const step of VERSIONS.slice(from, to)) await step(during, kind);
    await during.updateTable('godwit_schema').set({ version: to }).execute();
    return { from, to };
  });
}

async function tablesOf(db: Database, kind: StoreKind): Promise<string[]> {
  const { rows } = await (
    kind === 'sqlite'
      ? sql<{ name: string }>`select name from sqlite_schema where type = 'table' order by name`
      : sql<{
          name: string;
        }>`select tablename as name from pg_tables where schemaname = current_schema() order by tablename`
  ).execute(db);
  return rows.map(({ name }) => name);
}
