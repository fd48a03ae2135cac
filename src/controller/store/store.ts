import type { RawBuilder, Transaction } from 'kysely';
import type { GodwitError } from '../../errors.ts';
import type { Database, Tables } from './tables.ts';

export interface Store {
  readonly kind: 'sqlite' | 'postgres';
  readonly db: Database;
  /** Separate connections for readers, which need not wait for the requests' work. */
  readonly reads: Database;
  /** Atomic. `work` may run again after a conflict. GODWIT_STORE_NEWER if a newer build has migrated the schema. */
  transaction<T>(work: (db: Transaction<Tables>) => Promise<T>): Promise<T>;
  /** The database's clock in a query, ms since 1970; the only clock for leases. */
  readonly nowMs: RawBuilder<number>;
  readonly outdated: Promise<GodwitError>;
  close(): Promise<void>;
}
