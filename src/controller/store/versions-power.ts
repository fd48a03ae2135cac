import type { Database } from './tables.ts';

/** Hosts that sleep, fall asleep or wake, see Tables. */
export async function hostPower({ schema }: Database): Promise<void> {
  await schema
    .createTable('host_power')
    .addColumn('host', 'text', (c) => c.primaryKey())
    .addColumn('state', 'text', (c) => c.notNull())
    .addColumn('since', 'bigint', (c) => c.notNull())
    .execute();
}
