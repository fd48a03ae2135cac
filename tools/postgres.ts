/**
 * A PostgreSQL of one's own, for tests and benchmarks: from the distribution's package, as an unprivileged user, in a
 * temporary directory, on a unix socket there and nowhere else. `tools/setup.sh --only postgres` brings the package.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

export interface Postgres {
  /** A new, empty database of it, without its password. */
  database(): Promise<{ readonly url: string; readonly passwordFile: string }>;
  readonly passwordFile: string;
  /** Kills all of its processes at once, and starts it again. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const READY_MS = 30_000;
const SETTINGS = ['listen_addresses=', 'max_connections=100', 'fsync=off', 'shared_buffers=32MB'];

export async function startPostgres(): Promise<Postgres> {
  execFileSync('bash', [path.join(import.meta.dirname, 'setup.sh'), '--only', 'postgres'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const bin = newestBin();
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-postgres-'));
  const user = unprivileged();
  const data = path.join(directory, 'data');
  const passwordFile = path.join(directory, 'password');
  const password = randomBytes(12).toString('hex');
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600 });
  if (user !== undefined) {
    for (const each of [directory, passwordFile]) chownSync(each, user.uid, user.gid);
  }
  chmodSync(directory, 0o711);
  const auth = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`];
  const made = ['-D', data, '-U', 'godwit', '-E', 'UTF8', '--no-locale', '--no-sync', ...auth];
  execFileSync(path.join(bin, 'initdb'), made, { ...user, stdio: 'ignore', cwd: directory });
  const start = () => begin(path.join(bin, 'postgres'), { data, directory, password, user });
  let server = await start();
  let count = 0;
  return {
    passwordFile,
    database: async () => {
      count += 1;
      const name = `test_${process.pid}_${count}`;
      const client = clientOf(directory, password);
      await client.connect();
      await client.query(`create database ${name}`);
      await client.end();
      const host = encodeURIComponent(directory);
      return { url: `postgres://godwit@${host}/${name}`, passwordFile };
    },
    restart: async () => {
      await end(server, 'SIGQUIT');
      server = await start();
    },
    stop: async () => {
      await end(server, 'SIGQUIT');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

interface Place {
  readonly data: string;
  readonly directory: string;
  readonly password: string;
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

async function begin(program: string, place: Place): Promise<ChildProcess> {
  const { data, directory, user } = place;
  const settings = SETTINGS.flatMap((each) => ['-c', each]);
  // It ends with whoever started it, however that ends.
  const drop =
    user === undefined
      ? []
      : ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups'];
  const args = [...drop, '--pdeathsig', 'QUIT', program, '-D', data, '-k', directory, ...settings];
  const server = spawn('setpriv', args, { cwd: directory, stdio: ['ignore', 'ignore', 'pipe'] });
  let words = '';
  server.stderr.on('data', (chunk: Buffer) => {
    words = `${words}${chunk.toString()}`.slice(-4000);
  });
  const deadline = performance.now() + READY_MS;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL did not start: ${words}`);
    const client = clientOf(directory, place.password);
    try {
      await client.connect();
      await client.end();
      return server;
    } catch (cause) {
      if (performance.now() > deadline) {
        await end(server, 'SIGKILL');
        throw new Error(`PostgreSQL does not answer: ${words}`, { cause });
      }
      await sleep(50);
    }
  }
}

async function end(server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const ended = once(server, 'exit');
  server.kill(signal);
  await ended;
}

function clientOf(host: string, password: string): pg.Client {
  return new pg.Client({ host, user: 'godwit', database: 'postgres', password });
}

/** Debian has each version's programs in a directory of its own. */
function newestBin(): string {
  const found = globSync('/usr/lib/postgresql/*/bin').toSorted((one, other) =>
    one.localeCompare(other, 'en', { numeric: true }),
  );
  const newest = found.at(-1);
  if (newest === undefined) throw new Error('no PostgreSQL below /usr/lib/postgresql');
  return newest;
}

/** PostgreSQL refuses to run as root; its package brings a user. */
function unprivileged(): Place['user'] {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string): number =>
    Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }));
  return { uid: id('-u'), gid: id('-g') };
}
