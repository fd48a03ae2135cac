import type { Database } from './tables.ts';

/** Hosts that are ill, see Tables. */
export async function hostHealth({ schema }: Database): Promise<void> {
  await schema
    .createTable('host_health')
    .addColumn('host', 'text', (c) => c.primaryKey())
    .addColumn('began_at', 'bigint', (c) => c.notNull())
    .addColumn('words', 'text', (c) => c.notNull())
    .addColumn('wish', 'text')
    .execute();
}
