import type { Database } from './tables.ts';

/** Where guests of dead hosts can be started, see Tables. */
export async function standbys({ schema }: Database): Promise<void> {
  await schema
    .createTable('standbys')
    .addColumn('source', 'text', (c) => c.notNull())
    .addColumn('guest', 'text', (c) => c.notNull())
    .addColumn('destination', 'text', (c) => c.notNull())
    .addColumn('kept_at', 'bigint', (c) => c.notNull())
    .addColumn('words', 'text')
    .addPrimaryKeyConstraint('standbys_key', ['source', 'guest', 'destination'])
    .execute();
}
