import { sql } from 'kysely';
import type { Database, StoreKind } from './tables.ts';

export async function migrations(db: Database): Promise<void> {
  const { schema } = db;
  await migrationTable(db, 'migrations')
    .addPrimaryKeyConstraint('migrations_pkey', ['id'])
    .execute();
  await indexes(db);
  // Never filled by any build: a guest's host keeps its labels.
  await schema.dropTable('guest_labels').execute();
  await schema.alterTable('moves').dropColumn('report').execute();
}

/** Adds the reporting host to the key, so that an id claimed by one host does not block another's migration. */
export async function migrationsByReporter(db: Database, kind: StoreKind): Promise<void> {
  const key = ['id', 'source', 'told_by'] as const;
  if (kind === 'postgres') {
    await db.schema.alterTable('migrations').dropConstraint('migrations_pkey').execute();
    await db.schema
      .alterTable('migrations')
      .addPrimaryKeyConstraint('migrations_key', [...key])
      .execute();
    return;
  }
  // SQLite cannot change a table's key.
  const before = 'migrations_before' as const;
  await db.schema.alterTable('migrations').renameTo(before).execute();
  for (const [name] of INDEXES) await db.schema.dropIndex(name).execute();
  await migrationTable(db, 'migrations')
    .addPrimaryKeyConstraint('migrations_key', [...key])
    .execute();
  await sql`insert into migrations select * from ${sql.table(before)}`.execute(db);
  await db.schema.dropTable(before).execute();
  await indexes(db);
}

function migrationTable({ schema }: Database, name: string) {
  return schema
    .createTable(name)
    .addColumn('id', 'text', (c) => c.notNull())
    .addColumn('guest', 'text', (c) => c.notNull())
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('destination', 'text', (c) => c.notNull())
    .addColumn('mode', 'text', (c) => c.notNull())
    .addColumn('told_by', 'text', (c) => c.notNull())
    .addColumn('side', 'text', (c) => c.notNull())
    .addColumn('started_at', 'bigint', (c) => c.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('outcome', 'text')
    .addColumn('code', 'text')
    .addColumn('words', 'text')
    .addColumn('total_ms', 'double precision')
    .addColumn('downtime_ms', 'double precision')
    .addColumn('client_gap_ms', 'double precision')
    .addColumn('bytes', 'bigint')
    .addColumn('link_rate', 'double precision')
    .addColumn('dirty_rate', 'double precision')
    .addColumn('figures', 'text')
    .addColumn('report', 'text')
    .addColumn('epoch', 'bigint', (c) => c.notNull());
}

const INDEXES = [
  ['migrations_started', 'started_at', 'id'],
  ['migrations_ended', 'ended_at'],
  ['migrations_guest', 'guest', 'started_at'],
  ['migrations_source', 'source', 'started_at'],
  ['migrations_destination', 'destination', 'started_at'],
  ['migrations_teller', 'told_by', 'ended_at'],
] as const;

async function indexes({ schema }: Database): Promise<void> {
  for (const [name, ...columns] of INDEXES)
    await schema.createIndex(name).on('migrations').columns(columns).execute();
}
