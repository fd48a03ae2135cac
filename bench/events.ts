import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { initCa, issue, storeCredentials } from '../src/pki/authority.ts';
import { portIn, tcpSockets } from '../src/system/kernel-tables.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { reachesBrowser } from './events-browser.ts';
import type { ClientsReported, EventsOrder, EventsReported } from './events-messages.ts';

const SETUP = path.resolve(import.meta.dirname, '../tools/setup.sh');
const EACH_HALF = 250;
const SLOW = 20;
/** The addresses of the two ends of the link, in namespaces of their own. */
const [HERE, THERE, PORT] = ['10.213.77.1', '10.213.77.2', 17_446];
const LATEST_MS = 120_000;
/** As fast as many hosts change at once, for longer than a stalled reader is waited for. */
const FLOOD: EventsOrder = { perS: 2000, bytes: 600 };
const FLOOD_MS = 45_000;
const QUIET: EventsOrder = { perS: 0, bytes: 0 };
const MIB = 1024 ** 2;

/**
 * Event clients of a controller's web listener in a network namespace, of which half vanish with their link; then some that
 * read nothing while thousands of events come.
 */
export const events: Bench = {
  name: 'events',
  summary:
    'event clients of a controller: half vanish, some read nothing, one is a page; needs root',
  run: async (options) => {
    execFileSync('bash', [SETUP, '--only', 'chromium'], { stdio: ['ignore', 2, 2] });
    const directory = mkdtempSync(path.join(tmpdir(), 'godwit-events-'));
    const ended: (() => Promise<void> | void)[] = [
      () => rmSync(directory, { recursive: true, force: true }),
    ];
    try {
      return await measure(directory, ended, options);
    } finally {
      for (const end of ended.toReversed()) await end();
    }
  },
};

type Cleanups = (() => Promise<void> | void)[];

async function measure(
  directory: string,
  ended: Cleanups,
  { say, signal }: BenchOptions,
): Promise<Measure[]> {
  const caDir = path.join(directory, 'ca');
  await initCa(caDir);
  const addresses = [HERE, '127.0.0.1'];
  const issued = await issue({ caDir, name: 'control', role: 'controller', addresses });
  storeCredentials(path.join(directory, 'pki'), issued, 'controller');
  const caFile = path.join(directory, 'ca.crt');
  copyFileSync(path.join(caDir, 'ca.crt'), caFile);
  const spaces = namespaces(ended);
  const started = (
    space: string,
    file: string,
    words: readonly string[],
  ): Promise<StartedProcess> => start({ space, file, words }, ended, signal);
  const server = await started(spaces.here, 'events-server.ts', [directory, `${HERE}:${PORT}`]);
  const { address, token } = server.ready as { address: string; token: string };
  const clients = (space: string, count: number, reads: string): Promise<StartedProcess> =>
    started(space, 'events-clients.ts', [address, caFile, token, String(count), reads]);
  const order = async (what: EventsOrder): Promise<EventsReported> =>
    (await ask(server.child, what)) as EventsReported;

  const before = await order(QUIET);
  say(`${2 * EACH_HALF} clients begin`);
  const staying = await clients(spaces.here, EACH_HALF, 'all');
  const vanishing = await clients(spaces.there, EACH_HALF, 'all');
  const all = await order(QUIET);
  if (all.followers !== 2 * EACH_HALF) throw new Error(`only ${all.followers} clients follow`);

  say('half of them vanish: their link goes down, then their process is killed');
  ip('-n', spaces.there, 'link', 'set', 'eth0', 'down');
  const goneMs = performance.now();
  await stop(vanishing.child);
  const isBack = (reported: EventsReported): boolean =>
    reported.followers <= EACH_HALF && reported.sockets <= before.sockets + EACH_HALF;
  const backMs = (await momentWhen(() => order(QUIET), isBack, signal)) - goneMs;

  // Those that stayed go on hearing everything.
  const heardBefore = ((await ask(staying.child)) as ClientsReported).events;
  await order({ perS: 50, bytes: 100 });
  await sleep(1000);
  const { reported } = await order(QUIET);
  await sleep(2000);
  const heard = (await ask(staying.child)) as ClientsReported;
  const missed = reported * EACH_HALF - (heard.events - heardBefore);
  await stop(staying.child);
  await momentWhen(
    () => order(QUIET),
    (now) => now.sockets <= before.sockets,
    signal,
  );

  say(`${SLOW} clients read nothing while ${FLOOD.perS} events a second come`);
  const slow = await clients(spaces.here, SLOW, 'none');
  const kernel = await flood(server.child, order, signal);
  const after = await order(QUIET);
  await stop(slow.child);
  await stop(server.child);
  const browserMs = await reachesBrowser(directory, { say, signal });
  return measuresOf({ backMs, missed, heard, reported, kernel, after, browserMs });
}

/** The most that the kernel kept of one connection while news came, bytes. */
async function flood(
  server: ChildProcess,
  order: (what: EventsOrder) => Promise<EventsReported>,
  signal: AbortSignal,
): Promise<number> {
  await order(FLOOD);
  let most = 0;
  const endMs = performance.now() + FLOOD_MS;
  while (performance.now() < endMs) {
    signal.throwIfAborted();
    most = Math.max(most, ...queuesOf(server.pid ?? 0));
    await sleep(500);
  }
  return most;
}

function measuresOf(of: {
  readonly backMs: number;
  readonly missed: number;
  readonly heard: ClientsReported;
  readonly reported: number;
  readonly kernel: number;
  readonly after: EventsReported;
  readonly browserMs: readonly number[];
}): Measure[] {
  const plain = (name: string, value: number, unit: string): Measure => ({
    name,
    value,
    unit,
    runs: 1,
  });
  const { backMs, missed, heard, reported, kernel, after, browserMs } = of;
  const held = (kernel + after.mostHeldBytes) / MIB;
  return [
    {
      ...plain('half vanished: sockets and listeners back after', backMs / 1000, 's'),
      target: { atMost: 60 },
    },
    plain('events reported to those that stayed', reported, ''),
    { ...plain('of them missed by anybody', missed, ''), target: { atMost: 0 } },
    { ...plain('resets of those that stayed', heard.resets, ''), target: { atMost: 0 } },
    plain('a slow client: held in the process at most', after.mostHeldBytes / 1024, 'KiB'),
    plain('a slow client: held in the kernel at most', kernel / 1024, 'KiB'),
    { ...plain('a slow client: held at most, both', held, 'MiB'), target: { atMost: 1 } },
    { ...plain('slow clients left after the flood', after.followers, ''), target: { atMost: 0 } },
    plain('events of the flood', after.reported - reported, ''),
    plain('the process, resident', after.rss / MIB, 'MiB'),
    plain('until a page of 10,000 hosts has drawn an event, median', median(browserMs), 'ms'),
    {
      ...plain('the longest of them', Math.max(...browserMs), 'ms'),
      target: { atMost: 2000 },
    },
  ];
}

/** What each connection of a process's namespace has still to send, bytes. */
function queuesOf(pid: number): number[] {
  return tcpSockets(readFileSync(`/proc/${pid}/net/tcp`, 'utf8'))
    .filter(({ local }) => portIn(local) === PORT)
    .map(({ unsent }) => unsent);
}

/** Two namespaces with a link between; they go with the benchmark. */
function namespaces(ended: Cleanups): { readonly here: string; readonly there: string } {
  const [here, there] = [`gdw-ev-${process.pid}-a`, `gdw-ev-${process.pid}-b`];
  for (const space of [here, there]) {
    ip('netns', 'add', space);
    ended.push(() => ip('netns', 'delete', space));
    ip('-n', space, 'link', 'set', 'lo', 'up');
  }
  ip('-n', here, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', there);
  for (const [space, address] of [
    [here, HERE],
    [there, THERE],
  ] as const) {
    ip('-n', space, 'address', 'add', `${address}/30`, 'dev', 'eth0');
    ip('-n', space, 'link', 'set', 'eth0', 'up');
  }
  return { here, there };
}

function ip(...words: string[]): void {
  execFileSync('ip', words, { stdio: ['ignore', 'ignore', 'inherit'] });
}

interface StartedProcess {
  readonly child: ChildProcess;
  /** Its first words. */
  readonly ready: object;
}

/** A process of this benchmark in a namespace, once it says that it is ready. */
async function start(
  { space, file, words }: { space: string; file: string; words: readonly string[] },
  ended: Cleanups,
  signal: AbortSignal,
): Promise<StartedProcess> {
  const program = path.join(import.meta.dirname, file);
  const child = spawn('ip', ['netns', 'exec', space, process.execPath, program, ...words], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  ended.push(() => stop(child));
  const [ready] = (await Promise.race([
    once(child, 'message', { signal }),
    once(child, 'exit', { signal }).then(() => {
      throw new Error(`${file} ended at its start`);
    }),
  ])) as [object];
  return { child, ready };
}

async function ask(child: ChildProcess, words: object = {}): Promise<unknown> {
  const answer = once(child, 'message') as Promise<[unknown]>;
  child.send(words);
  return (await answer)[0];
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}

/** When it was so, ms of performance.now(). */
async function momentWhen<T>(
  look: () => Promise<T>,
  isSo: (seen: T) => boolean,
  signal: AbortSignal,
): Promise<number> {
  const begunMs = performance.now();
  for (;;) {
    signal.throwIfAborted();
    const seen = await look();
    if (isSo(seen)) return performance.now();
    if (performance.now() - begunMs > LATEST_MS)
      throw new Error(`it did not come back: ${JSON.stringify(seen)}`);
    await sleep(250);
  }
}
