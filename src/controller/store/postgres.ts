import { readFileSync } from 'node:fs';
import { PostgresDialect, type Dialect } from 'kysely';
import pg from 'pg';
import { godwitError } from '../../errors.ts';
import { readPassword } from '../../system/files/password-file.ts';
import type { Log } from '../../log.ts';

const CONNECTIONS = 8;
const CONNECT_MS = 5000;
const STATEMENT_MS = 20_000;
/** Shorter than any lease: a process that is stalled within a transaction holds no rows of others for longer. */
const IDLE_MS = 3000;

export interface PostgresPlace {
  /** postgres://USER@HOST/DATABASE, without a password. */
  readonly url: string;
  /** Read anew for each connection, so that a password may change. */
  readonly passwordFile?: string | undefined;
  /** A CA in PEM, by which the server is to be known; absent: no TLS. */
  readonly caFile?: string | undefined;
}

/** Kysely over a pool of connections. A connection that breaks is logged; the next query opens another. */
export function postgresDialect(place: PostgresPlace, log: Log, most = CONNECTIONS): Dialect {
  const { url, passwordFile, caFile } = place;
  const { hostname, port, username, pathname } = new URL(url);
  const pool = new pg.Pool({
    // A directory, percent-encoded, is that of a unix socket.
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
  // The pool listens to idle ones only: one that breaks between two queries of a transaction would end this process.
  pool.on('connect', (connection) => connection.on('error', broke));
  return new PostgresDialect({ pool });
}

const INT8 = 20;

/** Counts and times fit into a number; the driver would make texts of them. */
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
