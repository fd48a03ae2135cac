import { readFileSync } from 'node:fs';
import { PostgresDialect, type Dialect } from 'kysely';
import pg from 'pg';
import { godwitError } from '../../errors.ts';
import { readPassword } from '../../system/files/password-file.ts';
import type { Log } from '../../log.ts';

const CONNECTIONS = 8;
const CONNECT_MS = 5000;
const STATEMENT_MS = 20_000;
/** Shorter than any lease, so that a process stalled in a transaction releases its locks. */
const IDLE_MS = 3000;

export interface PostgresPlace {
  /** postgres://USER@HOST/DATABASE, without a password. */
  readonly url: string;
  /** Read for each connection, so that a password can change. */
  readonly passwordFile?: string | undefined;
  /** PEM of the server's CA; absent: no TLS. */
  readonly caFile?: string | undefined;
}

/** Kysely over a connection pool. A broken connection is logged; the next query opens another. */
export function postgresDialect(place: PostgresPlace, log: Log, most = CONNECTIONS): Dialect {
  const { url, passwordFile, caFile } = place;
  const { hostname, port, username, pathname } = new URL(url);
  const pool = new pg.Pool({
    // A percent-encoded directory is a Unix socket's.
    host: decodeURIComponent(hostname),
    port: port === '' ? 5432 : Number(port),
    user: decodeURIComponent(username),
    database: decodeURIComponent(pathname.slice(1)),
    ssl: caFile === undefined ? false : { ca: textOf(caFile), rejectUnauthorized: true },
    ...(passwordFile === undefined ? {} : { password: () => readPassword(passwordFile) }),
    max: most,
    connectionTimeoutMillis: CONNECT_MS,
    statement_timeout: STATEMENT_MS,
    query_timeout: STATEMENT_MS + CONNECT_MS,
    idle_in_transaction_session_timeout: IDLE_MS,
    keepAlive: true,
    application_name: 'godwit controller',
    types: { getTypeParser: parserOf as typeof pg.types.getTypeParser },
  });
  const broke = (error: Error): void => log.warn({ error }, 'connection to the database broke');
  pool.on('error', broke);
  // The pool handles errors only of idle connections; another one's would end this process.
  pool.on('connect', (connection) => connection.on('error', broke));
  return new PostgresDialect({ pool });
}

const INT8 = 20;

function parserOf(oid: number, format?: 'text' | 'binary'): unknown {
  return oid === INT8 ? Number : (pg.types.getTypeParser(oid, format) as unknown);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw godwitError('GODWIT_CONFIG', { file, what: 'it cannot be read' }, { cause });
  }
}
