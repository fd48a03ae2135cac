import { setTimeout as sleep } from 'node:timers/promises';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import {
  CompiledQuery,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
} from 'kysely';
import { Mutex } from '../../mutex.ts';
import { EventLoopYield } from '../event-loop-yield.ts';

const MAX_STATEMENTS = 256;
const SQLITE_BUSY = 5;
/** Wait for another writing process. SQLite's own wait would block this process. */
const BUSY_MS = 5000;
const BUSY_STEP_MS = 10;

/**
 * Kysely over node:sqlite, which its own dialect does not support. The single connection is exclusive, so that
 * transactions do not mix. `open` is called once, at the first query.
 */
export function sqliteDialect(open: () => DatabaseSync): Dialect {
  return {
    createDriver: () => new SqliteFileDriver(open),
    createQueryCompiler: () => new SqliteQueryCompiler(),
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (db) => new SqliteIntrospector(db),
  };
}

class SqliteFileDriver implements Driver {
  readonly #open: () => DatabaseSync;
  readonly #turns = new Mutex();
  /** SQLite answers synchronously, so a queue of transactions needs explicit yields. */
  readonly #eventLoop = new EventLoopYield(() => performance.now());
  #database: DatabaseSync | undefined;
  #connection: SqliteFileConnection | undefined;
  #release: (() => void) | undefined;

  constructor(open: () => DatabaseSync) {
    this.#open = open;
  }

  init(): Promise<void> {
    this.#database = this.#open();
    this.#connection = new SqliteFileConnection(this.#database);
    return Promise.resolve();
  }

  acquireConnection(): Promise<DatabaseConnection> {
    const { promise, resolve, reject } = Promise.withResolvers<DatabaseConnection>();
    void this.#turns.run(async () => {
      await this.#eventLoop.next();
      if (this.#connection === undefined) {
        reject(new Error('the database is closed'));
        return;
      }
      const turn = Promise.withResolvers<void>();
      this.#release = turn.resolve;
      resolve(this.#connection);
      await turn.promise;
    });
    return promise;
  }

  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    // Not deferred: a read followed by a write would fail after another process's write.
    await connection.executeQuery(CompiledQuery.raw('begin immediate'));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('commit'));
  }

  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    // A full disk has already ended the transaction.
    if (this.#database?.isTransaction === true) {
      await connection.executeQuery(CompiledQuery.raw('rollback'));
    }
  }

  releaseConnection(): Promise<void> {
    this.#release?.();
    return Promise.resolve();
  }

  async destroy(): Promise<void> {
    await this.#turns.idle();
    this.#connection = undefined;
    this.#database?.close();
    this.#database = undefined;
  }
}

class SqliteFileConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const untilMs = performance.now() + BUSY_MS;
    for (;;) {
      try {
        return this.#run(query);
      } catch (thrown) {
        // In a transaction the write lock is already held.
        const mayWait = !this.#database.isTransaction && performance.now() < untilMs;
        if (!mayWait || (thrown as { errcode?: unknown }).errcode !== SQLITE_BUSY) throw thrown;
        await sleep(BUSY_STEP_MS);
      }
    }
  }

  #run<R>({ sql, parameters }: CompiledQuery): QueryResult<R> {
    const statement = this.#statement(sql);
    const values = parameters.map(bindable);
    if (statement.columns().length > 0) return { rows: statement.all(...values) as R[] };
    const { changes, lastInsertRowid } = statement.run(...values);
    return { numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid), rows: [] };
  }

  // eslint-disable-next-line require-yield
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('this dialect streams no rows: ask for pages');
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, known);
      return known;
    }
    const made = this.#database.prepare(sql);
    this.#statements.set(sql, made);
    const [oldest] = this.#statements.keys();
    if (this.#statements.size > MAX_STATEMENTS && oldest !== undefined)
      this.#statements.delete(oldest);
    return made;
  }
}

function bindable(value: unknown): SQLInputValue {
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (value === null || typeof value === 'string' || typeof value === 'number') return value;
  if (typeof value === 'bigint' || value instanceof Uint8Array) return value;
  throw new TypeError(`a value of type ${typeof value} has no place in a query`);
}
