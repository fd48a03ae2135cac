import type { DatabaseConnection, Dialect, Driver, TransactionSettings } from 'kysely';
import { GodwitError, godwitError } from '../../errors.ts';

/** A dialect whose errors are errors of the table: GODWIT_STORE, with what the database said as the cause. */
export function withStoreErrors(dialect: Dialect, where: string): Dialect {
  return {
    createDriver: () => new TellingDriver(dialect.createDriver(), where),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
  };
}

/** What a database refused or could not do, in its own words; an error of ours is passed on as it is. */
export function storeFailure(thrown: unknown, where: string): GodwitError {
  if (thrown instanceof GodwitError) return thrown;
  const { code, message, errstr } = thrown as Error & { code?: string; errstr?: string };
  // A refused connection to several addresses has a code and no words.
  const words = [message || code || 'it does not answer', errstr];
  const what = [...new Set(words.filter((each) => each !== undefined))].join(': ');
  return godwitError('GODWIT_STORE', { where, what: what.slice(0, 500) }, { cause: thrown });
}

/** PostgreSQL gave way to another transaction: all of this one may be run again. */
export function gaveWay(thrown: unknown): boolean {
  const { code } = ((thrown as Error).cause ?? thrown) as { code?: unknown };
  return code === '40001' || code === '40P01';
}

class TellingDriver implements Driver {
  readonly #driver: Driver;
  readonly #where: string;
  readonly #connections = new WeakMap<DatabaseConnection, DatabaseConnection>();

  constructor(driver: Driver, where: string) {
    this.#driver = driver;
    this.#where = where;
  }

  init(): Promise<void> {
    return this.#reported(() => this.#driver.init());
  }

  async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await this.#reported(() => this.#driver.acquireConnection());
    const telling: DatabaseConnection = {
      executeQuery: (query) => this.#reported(() => connection.executeQuery(query)),
      streamQuery: (query, size) => connection.streamQuery(query, size),
    };
    this.#connections.set(telling, connection);
    return telling;
  }

  beginTransaction(telling: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return this.#reported(() => this.#driver.beginTransaction(this.#of(telling), settings));
  }

  commitTransaction(telling: DatabaseConnection): Promise<void> {
    return this.#reported(() => this.#driver.commitTransaction(this.#of(telling)));
  }

  rollbackTransaction(telling: DatabaseConnection): Promise<void> {
    return this.#reported(() => this.#driver.rollbackTransaction(this.#of(telling)));
  }

  releaseConnection(telling: DatabaseConnection): Promise<void> {
    return this.#driver.releaseConnection(this.#of(telling));
  }

  destroy(): Promise<void> {
    return this.#driver.destroy();
  }

  #of(telling: DatabaseConnection): DatabaseConnection {
    return this.#connections.get(telling) ?? telling;
  }

  async #reported<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw storeFailure(thrown, this.#where);
    }
  }
}
