import { fork, type ChildProcess } from 'node:child_process';
import { on } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { initCa } from '../src/pki/authority.ts';
import { fleetSnapshot } from '../src/controller/inventory/snapshot.ts';
import type { Store } from '../src/controller/store/store.ts';
import type { Bench, BenchOptions, Measure } from './contract.ts';
import {
  end,
  startControllers,
  type ControllerApi,
  type Controllers,
} from './fleet-controllers.ts';
import { inFlight, MOVES_OF_EACH } from './fleet-in-flight.ts';
import { askLoad } from './fleet-load.ts';
import { SAMPLE_MS } from './fleet-names.ts';
import { quantile, timeRead, type Watching } from './fleet-reads.ts';

const GUESTS_OF_EACH = 10;
const MEASURED_MS = 60_000;
/** For which no further host may be followed before the others count as never followed: that of a busy machine too. */
const STUCK_MS = 120_000;
const READS = 200;
/** In which a sample has arrived that was sent. */
const ARRIVAL_MS = 2000;
const DEFAULT_HOSTS = '100,1000';

/** Controllers, as their command starts them, and so many hosts, each with ten guests and a sample in 10 s. */
export const fleet: Bench = {
  name: 'fleet',
  summary:
    'controllers with many hosts: samples lost, reads, memory, moves in flight [--hosts N,N --controllers N --moves N]',
  run: async (options) => {
    const { hosts = DEFAULT_HOSTS, controllers = '1', moves = '0' } = options.words ?? {};
    const sizes = hosts.split(',').map((each) => wholeNumber('--hosts', each, 50_000));
    const count = wholeNumber('--controllers', controllers, 8);
    const begun = moves === '0' ? 0 : wholeNumber('--moves', moves, 10_000);
    const measures: Measure[] = [];
    for (const size of sizes) {
      if (begun > (size * MOVES_OF_EACH) / 2)
        throw new RangeError(
          `--moves ${begun}: with ${size} hosts at most ${(size * MOVES_OF_EACH) / 2}`,
        );
      measures.push(...(await measure({ hosts: size, count, moves: begun }, options)));
    }
    return measures;
  },
};

function wholeNumber(option: string, text: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value > 0 && value <= most) return value;
  throw new RangeError(`${option} takes whole numbers from 1 to ${most}, not ${text}`);
}

interface Size {
  readonly hosts: number;
  /** Controllers. */
  readonly count: number;
  readonly moves: number;
}

async function measure(size: Size, { say, signal }: BenchOptions): Promise<Measure[]> {
  const { hosts, count, moves } = size;
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
    ended.push(() => end(load, 'SIGKILL'));
    await readyOf(load, signal);
    const begun = performance.now();
    const controllers = await startControllers(directory, { caDir, hosts, count });
    ended.push(() => controllers.stop());
    const watching = { load, hosts, say, signal };
    const followedMs = await untilFollowed(controllers.api, { ...watching, begun });
    const figures = await watch({ ...watching, controllers });
    const snapshotMs = await timeSnapshot(controllers.store);
    return [
      ...measuresOf(size, { ...figures, followedMs, snapshotMs }),
      ...(moves === 0 ? [] : await inFlight({ ...watching, controllers, moves })),
    ];
  } finally {
    for (const each of ended.toReversed()) await each();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Until every host is followed and all guests are in the database; ms since the controller was started. */
async function untilFollowed(
  api: ControllerApi,
  { load, hosts, begun, say, signal }: Watching & { readonly begun: number },
): Promise<number> {
  let [most, grownMs] = [0, begun];
  for (let turn = 0; ; turn += 1) {
    signal.throwIfAborted();
    const { streams } = await askLoad(load);
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

async function countUp(api: ControllerApi): Promise<number> {
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
  readonly writesPerS?: number;
}

/** A minute of its ordinary day: samples come, and people read. */
async function watch({
  load,
  controllers,
  hosts,
  say,
  signal,
}: Watching & { readonly controllers: Controllers }): Promise<Figures> {
  say(`${hosts} hosts: measuring for ${MEASURED_MS / 1000} s`);
  const missedBefore = await missed(load, controllers);
  const before = { ...(await askLoad(load)), at: performance.now() };
  const cpuBefore = controllers.cpuSeconds();
  const writesBefore = await controllers.writes?.();
  const readsMs: number[] = [];
  let mostBytes = 0;
  for (let read = 0; read < READS; read += 1) {
    signal.throwIfAborted();
    const dueMs = before.at + (read * MEASURED_MS) / READS;
    await sleep(Math.max(0, dueMs - performance.now()));
    readsMs.push(await timeRead(controllers.api, read, hosts));
    mostBytes = Math.max(mostBytes, controllers.residentBytes());
  }
  await sleep(Math.max(0, before.at + MEASURED_MS - performance.now()));
  const after = { ...(await askLoad(load)), at: performance.now() };
  const seconds = (after.at - before.at) / 1000;
  const cores = controllers.cpuSeconds().map((each, at) => (each - (cpuBefore[at] ?? 0)) / seconds);
  const writes = (await controllers.writes?.()) ?? 0;
  const lost = (await missed(load, controllers)) - missedBefore;
  const loadMicros = after.cpu.user + after.cpu.system - before.cpu.user - before.cpu.system;
  return {
    expected: (seconds / (SAMPLE_MS / 1000)) * hosts,
    sent: after.sent - before.sent,
    lost: Math.max(0, lost),
    readsMs,
    mostBytes,
    controllerCores: Math.max(...cores),
    loadCores: loadMicros / 1e6 / seconds,
    ...(writesBefore === undefined ? {} : { writesPerS: (writes - writesBefore) / seconds }),
  };
}

/** Samples that were sent since the start and that no controller has; no host sends any while they are counted. */
async function missed(load: ChildProcess, controllers: Controllers): Promise<number> {
  await askLoad(load, 'pause');
  await sleep(ARRIVAL_MS);
  const { sent } = await askLoad(load);
  const samples = await controllers.samples();
  await askLoad(load, 'go on');
  return sent - samples;
}

async function timeSnapshot(store: Store): Promise<number> {
  const begun = performance.now();
  await fleetSnapshot(store);
  return performance.now() - begun;
}

function measuresOf(
  { hosts, count }: Size,
  of: Figures & { readonly followedMs: number; readonly snapshotMs: number },
): Measure[] {
  const plain = (what: string, value: number, unit: string): Measure => ({
    name: `${hosts} hosts: ${what}`,
    value,
    unit,
    runs: 1,
  });
  const of1 = count === 1 ? 'controller' : `of ${count} controllers the greatest`;
  return [
    plain('all followed after', of.followedMs / 1000, 's'),
    {
      ...plain('samples sent, of those due', of.sent / of.expected, 'x'),
      target: { atLeast: 0.95 },
    },
    { ...plain('samples lost', of.lost, ''), target: { atMost: 0 } },
    plain('reads, median', quantile(of.readsMs, 0.5), 'ms'),
    { ...plain('reads, p99', quantile(of.readsMs, 0.99), 'ms'), target: { atMost: 100 } },
    { ...plain(`${of1}, resident`, of.mostBytes / 1024 ** 2, 'MiB'), target: { atMost: 1024 } },
    plain(`${of1}, processor`, of.controllerCores, 'cores'),
    ...(of.writesPerS === undefined
      ? []
      : [{ ...plain('transactions that write', of.writesPerS, '/s'), target: { atMost: 50 } }]),
    plain('load, processor', of.loadCores, 'cores'),
    plain('a snapshot for planning', of.snapshotMs, 'ms'),
  ];
}

async function readyOf(load: ChildProcess, signal: AbortSignal): Promise<void> {
  for await (const [reported] of on(load, 'message', { signal, close: ['exit'] })) {
    if ((reported as { ready?: boolean }).ready === true) return;
  }
  throw new Error('the load ended at its start');
}
