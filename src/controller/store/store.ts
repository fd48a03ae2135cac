import type { RawBuilder, Transaction } from 'kysely';
import type { GodwitError } from '../../errors.ts';
import type { Database, Tables } from './tables.ts';

/** The database of a controller. */
export interface Store {
  readonly kind: 'sqlite' | 'postgres';
  readonly db: Database;
  /** For what people and programs read: its connections are not waited for behind the work of hundreds of requests. */
  readonly reads: Database;
  /**
   * All of `work` or nothing of it. It may run again where the database gave way to another transaction. GODWIT_STORE_NEWER
   * where a newer build has brought the schema forward.
   */
  transaction<T>(work: (db: Transaction<Tables>) => Promise<T>): Promise<T>;
  /** The database's clock in a query, ms since 1970: the only one that leases go by. */
  readonly nowMs: RawBuilder<number>;
  /** Resolves to GODWIT_STORE_NEWER once a transaction was refused so: this build is to decide nothing more. */
  readonly outdated: Promise<GodwitError>;
  close(): Promise<void>;
}
