import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { initCa, issue, storeCredentials } from '../src/pki/authority.ts';
import { systemClock } from '../src/clock.ts';
import { silentLog } from '../src/log.ts';
import { agentContract } from '../src/protocol/contract.ts';
import { controllerContract } from '../src/protocol/controller/contract.ts';
import { client, type Api } from '../src/rpc/client.ts';
import { listenTls } from '../src/rpc/listen.ts';
import { serve } from '../src/rpc/server.ts';
import { factsOf } from '../test/hostile/facts.ts';
import { until } from '../test/until.ts';
import { Answerer } from './answerer.ts';
import { COLLECTED } from './witness/collects.ts';

/**
 * A host with a valid certificate against a real controller: the controller asks for its lists, events, migrations and
 * reports, and hears answers and events without end. An honest host is followed beside it.
 */

export interface ControllerOutcome {
  /** Answers and events that the controller was given. */
  readonly cases: number;
  /** The most at any time, and once all garbage is collected. */
  readonly rssBytes: number;
  readonly inUseBytes: number;
  readonly databaseBytes: number;
  readonly isMarked: boolean;
  readonly violations: readonly string[];
  readonly tookMs: number;
}

const PROGRAM = path.resolve(import.meta.dirname, '../src/bin/controller.ts');
const COLLECTS = new URL('witness/collects.ts', import.meta.url).href;
const MIB = 1024 ** 2;
/** A controller of two hosts has some 120 MiB; the rest is for the share of one host, and for answers that are read. */
const MAX_RSS_BYTES = 768 * MIB;
const MAX_IN_USE_BYTES = 320 * MIB;
const MAX_DATABASE_BYTES = 256 * MIB;
const LOOK_MS = 250;
/** The longest that a caller waits for a list while the controller is under attack. */
const ANSWER_MS = 15_000;
const START_MS = 60_000;

interface AttackedController {
  readonly pid: number;
  readonly api: Api<typeof controllerContract>;
  readonly log: () => string;
  readonly databaseFile: string;
  readonly answerer: Answerer;
  readonly hasEnded: () => boolean;
}

export async function attackController(wanted: {
  readonly seed: number;
  readonly cases: number;
}): Promise<ControllerOutcome> {
  const dir = mkdtempSync(path.join(tmpdir(), 'godwit-hostile-'));
  const ends: (() => Promise<void> | void)[] = [
    () => rmSync(dir, { recursive: true, force: true }),
  ];
  try {
    return await attack(await open(dir, wanted.seed, ends), wanted.cases);
  } finally {
    for (const end of ends.toReversed()) await end();
  }
}

async function open(
  dir: string,
  seed: number,
  ends: (() => Promise<void> | void)[],
): Promise<AttackedController> {
  const caDir = path.join(dir, 'ca');
  await initCa(caDir);
  const made = (name: string, role: 'agent' | 'controller') =>
    issue({ caDir, name, role, days: 1, addresses: ['127.0.0.1'] });
  const honest = await listenTls(
    honestHost(),
    { address: '127.0.0.1:0' },
    await made('b', 'agent'),
    {
      log: silentLog,
    },
  );
  ends.push(() => honest.close());
  const answerer = await Answerer.open(factsOf(), seed, await made('c', 'agent'));
  ends.push(() => answerer.close());
  const stateDir = path.join(dir, 'state');
  const file = path.join(dir, 'controller.json');
  storeCredentials(path.join(stateDir, 'pki'), await made('control', 'controller'), 'controller');
  const hosts = { b: { address: honest.address }, c: { address: answerer.address } };
  const address = '127.0.0.1:0';
  writeFileSync(file, JSON.stringify({ name: 'control', address, stateDir, hosts }));
  const child = spawn(process.execPath, ['--import', COLLECTS, PROGRAM, '--config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let log = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (log = `${log}${chunk.toString()}`.slice(-MIB)));
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  ends.push(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  const socket = path.join(stateDir, 'controller.sock');
  const { api, close } = client(controllerContract, { unix: socket });
  ends.push(close);
  const { pid } = child;
  if (pid === undefined) throw new Error('the controller was not started');
  await until('the controller to answer', START_MS, () => api.live().catch(() => undefined));
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const databaseFile = path.join(stateDir, 'controller.db');
  return { pid, api, log: () => log, databaseFile, answerer, hasEnded };
}

/** A host that has one guest and nothing to report. */
function honestHost() {
  const { hello, host, guests, hostEvents, migrations } = agentContract;
  const guest = { name: 'calm1', host: 'b', driver: 'qemu', state: 'running' as const };
  const none = { nics: [], devices: [], unmovable: [] };
  return serve(
    { hello, host, guests, hostEvents, migrations },
    {
      hello: () => ({ name: 'b', product: 'godwit', versions: [1] }),
      host: () => ({
        name: 'b',
        address: '127.0.0.1:1',
        version: '1',
        protocolVersions: [1],
        processor: { model: 'any', cores: 1, features: [] },
        memoryBytes: MIB,
        memoryAvailableBytes: MIB,
        links: [],
        bridges: [],
        hypervisors: [],
        guests: 1,
        migrations: { in: 0, out: 0 },
      }),
      guests: () => ({ guests: [{ ...guest, ...none }] }),
      async *hostEvents({ signal }) {
        yield { id: '1', type: 'ready' as const };
        await new Promise<void>((resolve) => {
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
      },
      migrations: () => ({ migrations: [] }),
    },
    { name: 'b', log: silentLog },
  );
}

async function attack(attacked: AttackedController, cases: number): Promise<ControllerOutcome> {
  const began = performance.now();
  const { pid, api, answerer } = attacked;
  const violations = new Set<string>();
  let [rssBytes, isMarked, wasUp] = [0, false, false];
  while (answerer.count < cases && !attacked.hasEnded()) {
    rssBytes = Math.max(rssBytes, statusOf(pid, 'VmRSS'));
    const asked = performance.now();
    const { hosts } = await api
      .hosts({}, { deadlineMs: ANSWER_MS })
      .catch(
        (error: unknown) => violations.add(`the list of hosts: ${String(error)}`) && { hosts: [] },
      );
    const tookMs = performance.now() - asked;
    if (tookMs > ANSWER_MS) violations.add(`the list of hosts took ${Math.round(tookMs)} ms`);
    const honest = hosts.find(({ name }) => name === 'b');
    wasUp ||= honest?.state === 'up';
    if (wasUp && hosts.length > 0 && honest?.state !== 'up')
      violations.add(`the honest host is ${String(honest?.state)}: ${honest?.reason ?? ''}`);
    isMarked ||= hosts.some(({ name, excess }) => name === 'c' && excess !== undefined);
    await systemClock.sleep(LOOK_MS);
  }
  if (attacked.hasEnded())
    violations.add(`the controller has ended: ${attacked.log().slice(-2000)}`);
  else {
    const { guests } = await api.guests({ query: { host: 'b' } });
    if (guests.length !== 1)
      violations.add(`the honest host has ${guests.length} guests in the list`);
  }
  const inUseBytes = attacked.hasEnded() ? 0 : await collected(attacked);
  const databaseBytes = ['', '-wal'].reduce(
    (sum, end) =>
      sum + (statSync(attacked.databaseFile + end, { throwIfNoEntry: false })?.size ?? 0),
    0,
  );
  if (rssBytes > MAX_RSS_BYTES) violations.add(`the controller took ${rssBytes} bytes`);
  if (inUseBytes > MAX_IN_USE_BYTES) violations.add(`${inUseBytes} bytes stay in use`);
  if (databaseBytes > MAX_DATABASE_BYTES) violations.add(`the database has ${databaseBytes} bytes`);
  const defect = /.*(because of a defect|\bdefect: |GODWIT_INTERNAL).*/.exec(attacked.log())?.[0];
  if (defect !== undefined) violations.add(`the controller logged: ${defect.slice(0, 800)}`);
  const tookMs = Math.round(performance.now() - began);
  const sizes = { rssBytes, inUseBytes, databaseBytes };
  return { cases: answerer.count, ...sizes, isMarked, violations: [...violations], tookMs };
}

/** What its objects take once all garbage is collected, bytes. */
async function collected({ pid, log, hasEnded }: AttackedController): Promise<number> {
  const said = (): string[] => log().split(`${COLLECTED}: `).slice(1);
  const before = said().length;
  process.kill(pid, 'SIGUSR2');
  await until('the controller to collect its garbage', 60_000, async () =>
    said().length > before || hasEnded() ? true : undefined,
  );
  return Number.parseInt(said().at(-1) ?? '0', 10);
}

function statusOf(pid: number, name: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0) * 1024;
}
