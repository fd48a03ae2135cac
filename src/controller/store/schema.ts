import { sql, type Transaction } from 'kysely';
import { godwitError } from '../../errors.ts';
import type { Database, StoreKind, Tables } from './tables.ts';
import { VERSIONS } from './versions.ts';

const PRODUCT = 'godwit controller';
export const SCHEMA_VERSION = VERSIONS.length;
/** Advisory lock that serializes schema migrations of starting controllers. */
const LOCK = 1_196_377_943;

export const CLOCK = {
  sqlite: sql<number>`cast(unixepoch('subsec') * 1000 as integer)`,
  postgres: sql<number>`cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint)`,
} as const;
/** Upper bound of a sign of life, ms; a longer one was written before the clock was set back. */
const MAX_ALIVE_MS = 16_000;

/** 0: empty. GODWIT_STORE_FOREIGN if it belongs to another program. */
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

/** An older build would misread newer tables: it would count released room, or promise it twice. */
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
 * First statement of each transaction: GODWIT_STORE_NEWER if a newer build has migrated the schema since it was opened,
 * which can happen if this controller was stalled. Blocks migrations until the transaction ends.
 */
export async function checkStands(
  during: Transaction<Tables>,
  kind: StoreKind,
  where: string,
): Promise<void> {
  // A separate statement: the next one sees everything written before the lock.
  if (kind === 'postgres')
    await sql`select pg_advisory_xact_lock_shared(${sql.lit(LOCK)})`.execute(during);
  const found = await during.selectFrom('godwit_schema').select('version').executeTakeFirst();
  checkVersion(found?.version ?? 0, where);
}

/**
 * Migrates the schema in one transaction and returns the change; undefined if it is current. GODWIT_STORE_IN_USE if a
 * controller of an older build uses it.
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
