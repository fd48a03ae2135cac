import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { issue, storeCredentials } from '../src/pki/authority.ts';
import { openStore } from '../src/controller/store/open.ts';
import type { Store } from '../src/controller/store/store.ts';
import { MS_PER_TICK, readStat } from '../src/system/processes/process.ts';
import { silentLog } from '../src/log.ts';
import { controllerContract } from '../src/protocol/controller/contract.ts';
import { client, type Api } from '../src/rpc/client.ts';
import { startPostgres } from '../tools/postgres.ts';
import { addressOf, FLEET_PORT, hostNamed } from './fleet-names.ts';

export type ControllerApi = Api<typeof controllerContract>;

export interface Controllers {
  /** Of the first of them, over its own socket. */
  readonly api: ControllerApi;
  readonly store: Store;
  /** The greatest of any, bytes. */
  residentBytes(): number;
  /** Of each since its start, user and system, s. */
  cpuSeconds(): number[];
  /** Samples that they have taken since their start, all together. */
  samples(): Promise<number>;
  /** Transactions that wrote since the database was made; absent with SQLite. */
  writes?(): Promise<number>;
  stop(): Promise<void>;
}

interface ControllerSetup {
  readonly caDir: string;
  readonly hosts: number;
  /** One has SQLite; several share a PostgreSQL. */
  readonly count: number;
}

/** Controllers as their command starts them, each a process of its own. */
export async function startControllers(
  directory: string,
  asked: ControllerSetup,
): Promise<Controllers> {
  const ended: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const end of ended.splice(0).toReversed()) await end();
  };
  try {
    return { ...(await begin(directory, asked, ended)), stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

async function begin(
  directory: string,
  { caDir, hosts, count }: ControllerSetup,
  ended: (() => Promise<void>)[],
): Promise<Omit<Controllers, 'stop'>> {
  const postgres = count === 1 ? undefined : await startPostgres();
  if (postgres !== undefined) ended.push(() => postgres.stop());
  const shared = postgres === undefined ? undefined : { postgres: await postgres.database() };
  const started: { readonly pid: number; readonly api: ControllerApi }[] = [];
  for (let index = 0; index < count; index += 1) {
    const name = `control-${index}`;
    const stateDir = path.join(directory, name);
    const issued = await issue({ caDir, name, role: 'controller', addresses: [] });
    storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
    const database = shared === undefined ? {} : { database: shared };
    const config = { name, address: '127.0.0.1:0', stateDir, logLevel: 'error', ...database };
    const file = path.join(directory, `${name}.json`);
    writeFileSync(file, JSON.stringify({ ...config, hosts: followed(hosts) }));
    const child = await startOne(file, stateDir, ended);
    const speaking = client(controllerContract, { unix: path.join(stateDir, 'controller.sock') });
    ended.push(async () => speaking.close());
    started.push({ pid: child.pid ?? 0, api: speaking.api });
  }
  const [first] = started;
  if (first === undefined) throw new RangeError('no controller was asked for');
  const sqlite = path.join(directory, 'control-0', 'controller.db');
  const store = await openStore(shared ?? { sqlite }, silentLog);
  ended.push(() => store.close());
  return {
    api: first.api,
    store,
    residentBytes: () => Math.max(...started.map(({ pid }) => residentBytesOf(pid))),
    cpuSeconds: () => started.map(({ pid }) => cpuSecondsOf(pid)),
    samples: async () => {
      const figures = await Promise.all(started.map(({ api }) => api.figures()));
      return figures.reduce((sum, { samples }) => sum + samples, 0);
    },
    ...(shared === undefined ? {} : { writes: () => writesOf(store) }),
  };
}

function followed(hosts: number): Record<string, { readonly address: string }> {
  const all = Array.from(
    { length: hosts },
    (_none, index) => [hostNamed(index), { address: `${addressOf(index)}:${FLEET_PORT}` }] as const,
  );
  return Object.fromEntries(all);
}

async function startOne(
  file: string,
  stateDir: string,
  ended: (() => Promise<void>)[],
): Promise<ChildProcess> {
  const program = path.resolve(import.meta.dirname, '../src/bin/controller.ts');
  const child = spawn(process.execPath, [program, '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  ended.push(() => end(child, 'SIGTERM'));
  while (!existsSync(path.join(stateDir, 'controller.sock'))) {
    if (child.exitCode !== null) throw new Error('the controller ended at its start');
    await sleep(50);
  }
  return child;
}

/** Ends a process, by force where it takes longer than 20 s. */
export async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await exited;
  clearTimeout(late);
}

/** PostgreSQL numbers a transaction when it first writes, and no other. */
async function writesOf({ db }: Store): Promise<number> {
  const { rows } = await sql<{
    next: string;
  }>`select pg_snapshot_xmax(pg_current_snapshot())::text as next`.execute(db);
  return Number(rows[0]?.next);
}

function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** User and system time. */
function cpuSecondsOf(pid: number): number {
  const stat = readStat(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  return ((stat?.usedTicks ?? 0) * MS_PER_TICK) / 1000;
}
