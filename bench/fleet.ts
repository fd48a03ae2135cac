import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { initCa, issue, storeCredentials } from '../src/agent/pki/authority.ts';
import { fleetSnapshot } from '../src/controller/inventory/snapshot.ts';
import { openStore } from '../src/controller/store/open.ts';
import { silentLog } from '../src/log.ts';
import { controllerContract } from '../src/protocol/controller/contract.ts';
import { client } from '../src/rpc/client.ts';
import type { Api } from '../src/rpc/client.ts';
import type { Bench, BenchOptions, Measure } from './contract.ts';
import { addressOf, FLEET_PORT, hostNamed, SAMPLE_MS } from './fleet-names.ts';

const GUESTS_OF_EACH = 10;
const MEASURED_MS = 60_000;
/** For which no further host may be followed before the others count as never followed: that of a busy machine too. */
const STUCK_MS = 120_000;
const READS = 200;
const DEFAULT_HOSTS = [100, 1000];

/** One controller with SQLite, as its command starts it, and so many hosts, each with ten guests and a sample in 10 s. */
export const fleet: Bench = {
  name: 'fleet',
  summary: 'a controller with many hosts: samples lost, reads, memory; --hosts N[,N] says how many',
  run: async (options) => {
    const sizes = options.words?.hosts?.split(',').map(Number) ?? DEFAULT_HOSTS;
    if (!sizes.every((size) => Number.isInteger(size) && size > 0 && size <= 50_000))
      throw new RangeError('--hosts takes whole numbers from 1 to 50000, with commas between');
    const measures: Measure[] = [];
    for (const size of sizes) measures.push(...(await measure(size, options)));
    return measures;
  },
};

interface Reported {
  readonly sent: number;
  readonly streams: number;
  readonly rss: number;
  readonly cpu: { readonly user: number; readonly system: number };
}

async function measure(hosts: number, { say, signal }: BenchOptions): Promise<Measure[]> {
  const directory = mkdtempSync(path.join(tmpdir(), 'godwit-fleet-'));
  const ended: (() => Promise<void>)[] = [];
  try {
    const caDir = path.join(directory, 'ca');
    await initCa(caDir);
    say(`${hosts} hosts: making them`);
    const load = fork(path.join(import.meta.dirname, 'fleet-hosts.ts'), [
      caDir,
      String(hosts),
      String(GUESTS_OF_EACH),
    ]);
    ended.push(() => stop(load, 'SIGKILL'));
    await readyOf(load, signal);
    const stateDir = path.join(directory, 'control');
    const begun = performance.now();
    const controller = await startController(directory, stateDir, { caDir, hosts });
    ended.push(() => stop(controller, 'SIGTERM'));
    const speaking = client(controllerContract, { unix: path.join(stateDir, 'controller.sock') });
    ended.push(async () => speaking.close());
    const followedMs = await untilFollowed(speaking.api, { load, hosts, begun, say, signal });
    const figures = await watch(speaking.api, { load, controller, hosts, say, signal });
    speaking.close();
    const snapshotMs = await timeSnapshot(path.join(stateDir, 'controller.db'));
    return measuresOf(hosts, { ...figures, followedMs, snapshotMs });
  } finally {
    for (const end of ended.toReversed()) await end();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function startController(
  directory: string,
  stateDir: string,
  { caDir, hosts }: { readonly caDir: string; readonly hosts: number },
): Promise<ChildProcess> {
  const issued = await issue({ caDir, name: 'control', role: 'controller', addresses: [] });
  storeCredentials(path.join(stateDir, 'pki'), issued, 'controller');
  const all = Array.from({ length: hosts }, (_none, index) => [
    hostNamed(index),
    { address: `${addressOf(index)}:${FLEET_PORT}` },
  ]) as [string, { address: string }][];
  const followed: Record<string, { address: string }> = Object.fromEntries(all);
  const config = { name: 'control', address: '127.0.0.1:0', stateDir, logLevel: 'error' };
  const file = path.join(directory, 'controller.json');
  writeFileSync(file, JSON.stringify({ ...config, hosts: followed }));
  const program = path.resolve(import.meta.dirname, '../src/bin/controller.ts');
  const controller = spawn(process.execPath, [program, '--config', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  while (!existsSync(path.join(stateDir, 'controller.sock'))) {
    if (controller.exitCode !== null) throw new Error('the controller ended at its start');
    await sleep(50);
  }
  return controller;
}

interface Watching {
  readonly load: ChildProcess;
  readonly hosts: number;
  readonly say: (text: string) => void;
  readonly signal: AbortSignal;
}

/** Until every host is followed and all guests are in the database; ms since the controller was started. */
async function untilFollowed(
  api: Api<typeof controllerContract>,
  { load, hosts, begun, say, signal }: Watching & { readonly begun: number },
): Promise<number> {
  let [most, grownMs] = [0, begun];
  for (let turn = 0; ; turn += 1) {
    signal.throwIfAborted();
    const { streams } = await ask(load);
    // Counted once they all have a stream: the count costs the controller as many reads as there are pages.
    const up = streams < hosts ? 0 : await countUp(api);
    if (up >= hosts) return performance.now() - begun;
    if (streams + up > most) [most, grownMs] = [streams + up, performance.now()];
    if (performance.now() - grownMs > STUCK_MS)
      throw new Error(`only ${streams < hosts ? streams : up} of ${hosts} hosts are followed`);
    if (turn % 5 === 0) say(`${hosts} hosts: ${streams} are followed`);
    await sleep(1000);
  }
}

async function countUp(api: Api<typeof controllerContract>): Promise<number> {
  let [count, cursor]: [number, string | undefined] = [0, undefined];
  do {
    const page: Awaited<ReturnType<typeof api.hosts>> = await api.hosts(
      { query: { limit: 1000, cursor } },
      { deadlineMs: 60_000 },
    );
    count += page.hosts.filter(({ state, guests }) => state === 'up' && guests > 0).length;
    cursor = page.next;
  } while (cursor !== undefined);
  return count;
}

interface Figures {
  readonly expected: number;
  readonly sent: number;
  readonly lost: number;
  readonly readsMs: readonly number[];
  readonly mostBytes: number;
  readonly controllerCores: number;
  readonly loadCores: number;
}

/** A minute of its ordinary day: samples come, and people read. */
async function watch(
  api: Api<typeof controllerContract>,
  { load, controller, hosts, say, signal }: Watching & { readonly controller: ChildProcess },
): Promise<Figures> {
  say(`${hosts} hosts: measuring for ${MEASURED_MS / 1000} s`);
  const pid = controller.pid ?? 0;
  const before = { ...(await ask(load)), at: performance.now() };
  const cpuBefore = cpuSecondsOf(pid);
  const readsMs: number[] = [];
  let mostBytes = 0;
  for (let read = 0; read < READS; read += 1) {
    signal.throwIfAborted();
    const dueMs = before.at + (read * MEASURED_MS) / READS;
    await sleep(Math.max(0, dueMs - performance.now()));
    const begun = performance.now();
    await readOne(api, read, hosts);
    readsMs.push(performance.now() - begun);
    mostBytes = Math.max(mostBytes, residentBytesOf(pid));
  }
  await sleep(Math.max(0, before.at + MEASURED_MS - performance.now()));
  const after = { ...(await ask(load)), at: performance.now() };
  const controllerCores = (cpuSecondsOf(pid) - cpuBefore) / ((after.at - before.at) / 1000);
  // What is under way now arrives within a moment.
  await sleep(2000);
  const end = await received(api);
  const sent = after.sent - before.sent;
  const loadMicros = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system;
  return {
    expected: ((after.at - before.at) / SAMPLE_MS) * hosts,
    sent,
    // Of all since the start: what is counted here first has had two seconds to arrive.
    lost: Math.max(0, after.sent - end),
    readsMs,
    mostBytes,
    controllerCores,
    loadCores: loadMicros / 1e6 / ((after.at - before.at) / 1000),
  };
}

/** What a person's page asks for, in turn. */
async function readOne(
  api: Api<typeof controllerContract>,
  read: number,
  hosts: number,
): Promise<void> {
  const index = (read * 7919) % hosts;
  const host = hostNamed(index);
  switch (read % 5) {
    case 0:
      return void (await api.hosts());
    case 1:
      return void (await api.guests());
    case 2:
      return void (await api.host({ params: { host } }));
    case 3:
      return void (await api.guest({ params: { guest: `g-${index}-3` } }));
    default:
      return void (await api.samples({ params: { host }, query: { span: 'sample' } }));
  }
}

/** Samples that the controller has taken since its start, as it counts them. */
async function received(api: Api<typeof controllerContract>): Promise<number> {
  return (await api.figures()).samples;
}

async function timeSnapshot(file: string): Promise<number> {
  const store = await openStore({ sqlite: file }, silentLog);
  try {
    const begun = performance.now();
    await fleetSnapshot(store);
    return performance.now() - begun;
  } finally {
    await store.close();
  }
}

function measuresOf(
  hosts: number,
  of: Figures & { readonly followedMs: number; readonly snapshotMs: number },
): Measure[] {
  const sorted = of.readsMs.toSorted((one, other) => one - other);
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? 0;
  const name = (what: string): string => `${hosts} hosts: ${what}`;
  const plain = (what: string, value: number, unit: string): Measure => ({
    name: name(what),
    value,
    unit,
    runs: 1,
  });
  return [
    plain('all followed after', of.followedMs / 1000, 's'),
    {
      ...plain('samples sent, of those due', of.sent / of.expected, 'x'),
      target: { atLeast: 0.95 },
    },
    { ...plain('samples lost', of.lost, ''), target: { atMost: 0 } },
    plain('reads, median', at(0.5), 'ms'),
    { ...plain('reads, p99', at(0.99), 'ms'), target: { atMost: 100 } },
    { ...plain('controller, resident', of.mostBytes / 1024 ** 2, 'MiB'), target: { atMost: 1024 } },
    plain('controller, processor', of.controllerCores, 'cores'),
    plain('load, processor', of.loadCores, 'cores'),
    plain('a snapshot for planning', of.snapshotMs, 'ms'),
  ];
}

async function readyOf(load: ChildProcess, signal: AbortSignal): Promise<void> {
  for (;;) {
    const [reported] = (await Promise.race([
      once(load, 'message', { signal }),
      once(load, 'exit', { signal }).then(() => {
        throw new Error('the load ended at its start');
      }),
    ])) as [{ ready?: boolean }];
    if (reported.ready === true) return;
  }
}

async function ask(load: ChildProcess): Promise<Reported> {
  const reported = once(load, 'message') as Promise<[Reported]>;
  load.send('figures');
  return (await reported)[0];
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000);
  await exited;
  clearTimeout(late);
}

function residentBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
}

/** User and system time; the kernel counts in hundredths. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
