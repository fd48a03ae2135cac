import type { Database } from './tables.ts';

/** The history of migrations, see MigrationRow. */
export async function migrations({ schema }: Database): Promise<void> {
  await schema
    .createTable('migrations')
    .addColumn('id', 'text', (c) => c.primaryKey())
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
    .addColumn('epoch', 'bigint', (c) => c.notNull())
    .execute();
  const index = (name: string, ...columns: string[]) =>
    schema.createIndex(name).on('migrations').columns(columns).execute();
  await index('migrations_started', 'started_at', 'id');
  await index('migrations_ended', 'ended_at');
  await index('migrations_guest', 'guest', 'started_at');
  await index('migrations_source', 'source', 'started_at');
  await index('migrations_destination', 'destination', 'started_at');
  await index('migrations_teller', 'told_by', 'ended_at');
  // No build ever filled these: a guest's host keeps its labels.
  await schema.dropTable('guest_labels').execute();
  await schema.alterTable('moves').dropColumn('report').execute();
}
