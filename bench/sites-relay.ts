import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import tls from 'node:tls';
import type { AddressInfo } from 'node:net';
import { initCa, issue, storeCredentials } from '../src/pki/authority.ts';
import { signalProcess, startDetached } from '../lab/processes.ts';
import { Connection } from '../src/links/connection.ts';
import { controlFrame, MAX_DATA_BYTES } from '../src/links/format.ts';
import { silentLog } from '../src/log.ts';
import { connectTls } from '../src/rpc/relayed/call.ts';
import { waitAtRelays } from '../src/rpc/relayed/wait.ts';
import { serverTls, type Credentials } from '../src/rpc/tls.ts';
import { costOf, type ProcessCost } from '../test/e2e/support/sites.ts';
import { until } from '../test/until.ts';
import type { BenchOptions, Measure } from './contract.ts';

const GODWIT = fileURLToPath(new URL('../godwit', import.meta.url));
const GB = 1e9;
/** 100 Mbit/s. */
const RATE = 12_500_000;
/** What is sent in each run, bytes: 24 s. */
const LOAD = 300_000_000;
/** What is sent first and not counted: code that runs for the first time is compiled. */
const WARM_UP = 25_000_000;
const STEP_MS = 2;
const SERVES_MS = 30_000;

/** What `godwit serve relay` costs on loopback between two programs that speak as two movers do, at the pace of a thin link. */
export async function relayAlone(pairs: number, options: BenchOptions): Promise<Measure[]> {
  const dir = await mkdtemp(path.join(os.tmpdir(), 'godwit-relay-'));
  try {
    return await underLoad(dir, pairs, options);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

async function underLoad(dir: string, pairs: number, options: BenchOptions): Promise<Measure[]> {
  const caDir = path.join(dir, 'ca');
  await initCa(caDir);
  const give = (name: string, role: 'agent' | 'relay') =>
    issue({ caDir, name, role, days: 1, addresses: ['127.0.0.1'] });
  storeCredentials(path.join(dir, 'pki'), await give('r', 'relay'), 'relay');
  const { address, pid } = await startRelay(dir);
  const relays = [{ name: 'r', address }];
  const of = async (self: string): Promise<Credentials> => ({
    ...(await give(self, 'agent')),
    relayed: { self, relays },
  });
  const sink = await Sink.open(await of('b'));
  try {
    const sources = await callAll(sink.address, await of('a'), pairs, options.signal);
    await send(sources, sink, WARM_UP, options.signal);
    const before = await costOf(pid);
    await send(sources, sink, LOAD, options.signal);
    const after = await costOf(pid);
    for (const each of sources) each.destroy();
    return measuresOf(pairs, before, after);
  } finally {
    sink.close();
    signalProcess(pid, 'SIGTERM');
  }
}

async function startRelay(
  dir: string,
): Promise<{ readonly address: string; readonly pid: number }> {
  const [configFile, logFile] = [path.join(dir, 'relay.json'), path.join(dir, 'relay.log')];
  const config = {
    name: 'r',
    address: '127.0.0.1:0',
    pkiDir: path.join(dir, 'pki'),
    hosts: ['a', 'b'],
  };
  await writeFile(configFile, JSON.stringify(config));
  const { pid } = await startDetached([GODWIT, 'serve', 'relay', '--config', configFile], {
    logFile,
    env: process.env,
  });
  const address = await until('the relay to serve', SERVES_MS, async () => {
    const log = await readFile(logFile, 'utf8').catch(() => '');
    return /"address":"([^"]+)"/.exec(log)?.[1];
  });
  return { address, pid };
}

/** The host that is called: it takes what comes and acknowledges each frame. */
class Sink {
  readonly address: string;
  readonly close: () => void;
  #bytes = 0;
  #wanted: { readonly bytes: number; readonly reached: () => void } | undefined;

  private constructor(server: tls.Server, port: number, credentials: Credentials) {
    this.address = `b.relay:${port}`;
    server.on('secureConnection', (socket) => this.#take(socket));
    const waiting = waitAtRelays(server, port, credentials, silentLog);
    this.close = () => {
      waiting.close();
      server.close();
    };
  }

  static async open(credentials: Credentials): Promise<Sink> {
    const server = tls.createServer(serverTls(credentials));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Sink(server, (server.address() as AddressInfo).port, credentials);
  }

  /** Resolves once so many more bytes are there. */
  more(bytes: number): Promise<void> {
    return new Promise((reached) => {
      this.#wanted = { bytes: this.#bytes + bytes, reached };
    });
  }

  #take(socket: tls.TLSSocket): void {
    const connection = new Connection(socket, {
      frame: ({ number, payload }) => {
        this.#bytes += payload.length;
        connection.write(controlFrame('ack', number, new Uint8Array(16)));
        if (this.#wanted !== undefined && this.#bytes >= this.#wanted.bytes) this.#wanted.reached();
      },
      paused: () => undefined,
      closed: () => undefined,
    });
  }
}

function callAll(address: string, own: Credentials, count: number, signal: AbortSignal) {
  return Promise.all(
    Array.from({ length: count }, async () => {
      const socket = await connectTls(address, own, {}, signal);
      const user = { frame: () => undefined, paused: () => undefined, closed: () => undefined };
      const connection = new Connection(socket, user);
      await once(socket, 'secureConnect', { signal });
      return connection;
    }),
  );
}

/** At `RATE` together, a frame of each in turn. */
async function send(
  sources: readonly Connection[],
  sink: Sink,
  bytes: number,
  signal: AbortSignal,
): Promise<void> {
  const payload = randomBytes(MAX_DATA_BYTES);
  const frames = Math.ceil(bytes / payload.length);
  const arrived = sink.more(frames * payload.length);
  const beginMs = performance.now();
  for (let frame = 0; frame < frames;) {
    const due = ((performance.now() - beginMs) / 1000) * RATE;
    for (; frame < frames && frame * payload.length < due; frame += 1)
      sources[frame % sources.length]?.write({ type: 'data', channel: 32, number: frame, payload });
    await delay(STEP_MS, undefined, { signal });
  }
  await arrived;
}

function measuresOf(pairs: number, before: ProcessCost, after: ProcessCost): Measure[] {
  const at = `relay alone, ${pairs} ${pairs === 1 ? 'stream' : 'streams'} of 100 Mbit/s together`;
  const seconds = (after.processorMs - before.processorMs) / 1000;
  return [
    {
      name: `${at}: processor`,
      value: seconds / (LOAD / GB),
      unit: 's/GB',
      runs: 1,
      target: { atMost: 2 },
    },
    {
      name: `${at}: memory`,
      value: after.residentBytes / 1e6,
      unit: 'MB',
      runs: 1,
      target: { atMost: 100 },
    },
  ];
}
