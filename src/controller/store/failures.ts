import type {
  CompiledQuery,
  DatabaseConnection,
  Dialect,
  Driver,
  TransactionSettings,
} from 'kysely';
import { GodwitError, godwitError } from '../../errors.ts';

export function withStoreErrors(dialect: Dialect, where: string): Dialect {
  return {
    createDriver: () => new ReportingDriver(dialect.createDriver(), where),
    createQueryCompiler: () => dialect.createQueryCompiler(),
    createAdapter: () => dialect.createAdapter(),
    createIntrospector: (db) => dialect.createIntrospector(db),
  };
}

export function storeFailure(thrown: unknown, where: string): GodwitError {
  if (thrown instanceof GodwitError) return thrown;
  const { code, message, errstr } = thrown as Error & { code?: string; errstr?: string };
  // A refused connection to several addresses has a code but no message.
  const words = [message || code || 'it does not answer', errstr];
  const what = [...new Set(words.filter((each) => each !== undefined))].join(': ');
  return godwitError('GODWIT_STORE', { where, what: what.slice(0, 500) }, { cause: thrown });
}

/** PostgreSQL rolled back in favor of another transaction; this one may be repeated. */
export function isConflict(thrown: unknown): boolean {
  const { code } = ((thrown as Error).cause ?? thrown) as { code?: unknown };
  return code === '40001' || code === '40P01';
}

/**
 * Replaces NUL by U+FFFD in every database: PostgreSQL's texts cannot contain it, and one host's text would block
 * others in the same write.
 */
function storable<R>(query: CompiledQuery<R>): CompiledQuery<R> {
  const parameters = query.parameters.map((each) =>
    typeof each === 'string' ? each.replaceAll('\0', '\uFFFD') : each,
  );
  return { ...query, parameters };
}

class ReportingDriver implements Driver {
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
    const wrapped: DatabaseConnection = {
      executeQuery: (query) => this.#reported(() => connection.executeQuery(storable(query))),
      streamQuery: (query, size) => connection.streamQuery(query, size),
    };
    this.#connections.set(wrapped, connection);
    return wrapped;
  }

  beginTransaction(wrapped: DatabaseConnection, settings: TransactionSettings): Promise<void> {
    return this.#reported(() => this.#driver.beginTransaction(this.#of(wrapped), settings));
  }

  commitTransaction(wrapped: DatabaseConnection): Promise<void> {
    return this.#reported(() => this.#driver.commitTransaction(this.#of(wrapped)));
  }

  rollbackTransaction(wrapped: DatabaseConnection): Promise<void> {
    return this.#reported(() => this.#driver.rollbackTransaction(this.#of(wrapped)));
  }

  releaseConnection(wrapped: DatabaseConnection): Promise<void> {
    return this.#driver.releaseConnection(this.#of(wrapped));
  }

  destroy(): Promise<void> {
    return this.#driver.destroy();
  }

  #of(wrapped: DatabaseConnection): DatabaseConnection {
    return this.#connections.get(wrapped) ?? wrapped;
  }

  async #reported<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      throw storeFailure(thrown, this.#where);
    }
  }
}
