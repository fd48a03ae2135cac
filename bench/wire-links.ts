import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { initCa, issue } from '../src/pki/authority.ts';
import { silentLog } from '../src/log.ts';
import type { Credentials } from '../src/rpc/tls.ts';
import type { LinkSession } from '../src/links/link-session.ts';
import { openSession } from '../src/links/open.ts';
import { SessionServer } from '../src/links/server.ts';
import { median, type Bench, type BenchOptions, type Measure } from './contract.ts';
import type { LineData } from './wire-links-line.ts';

const MB = 1_000_000;
const DEFAULT_RUNS = 3;
const MESSAGE = randomBytes(32 * 1024);
const LOOPBACK_BYTES = 512 * MB;

export const wireLinks: Bench = {
  name: 'wire-links',
  summary: "What the wire's sessions get out of a link, and how long urgent messages wait",
  async run(options) {
    const directory = await mkdtemp(path.join(tmpdir(), 'godwit-bench-'));
    try {
      const caDir = path.join(directory, 'ca');
      await initCa(caDir);
      const of = (name: string): Promise<Credentials> =>
        issue({ caDir, name, role: 'agent', days: 1, addresses: ['127.0.0.1'] });
      return await measures(await of('a'), await of('b'), options);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  },
};

interface Run {
  readonly runs: number;
  readonly signal: AbortSignal;
  readonly a: Credentials;
  readonly server: SessionServer;
}

async function measures(
  a: Credentials,
  b: Credentials,
  { runs = DEFAULT_RUNS, signal, say }: BenchOptions,
): Promise<Measure[]> {
  const server = await SessionServer.listen({
    hosts: ['127.0.0.1'],
    ports: { from: 0, to: 0 },
    credentials: b,
    log: silentLog,
  });
  const run = { runs, signal, a, server };
  try {
    say('loopback');
    const near = await loopback(run);
    say('200 Mbit/s, 150 ms');
    const far = await shaped(run, { bytesPerS: 25 * MB, roundTripMs: 150 });
    say('1 Gbit/s, 150 ms');
    const wide = await shaped(run, { bytesPerS: 125 * MB, roundTripMs: 150 });
    say('100 Mbit/s, 10 ms');
    const thin = await shaped(run, { bytesPerS: 12.5 * MB, roundTripMs: 10 });
    return [
      ...near,
      { ...far.used, name: '200 Mbit/s, 150 ms: used', target: { atLeast: 90 } },
      { ...far.half, name: '200 Mbit/s, 150 ms: an urgent message waits beyond the way' },
      { ...far.most, name: '200 Mbit/s, 150 ms: the same, 95 of 100' },
      { ...wide.used, name: '1 Gbit/s, 150 ms: used', target: { atLeast: 90 } },
      { ...wide.half, name: '1 Gbit/s, 150 ms: an urgent message waits beyond the way' },
      { ...wide.most, name: '1 Gbit/s, 150 ms: the same, 95 of 100' },
      { ...thin.used, name: '100 Mbit/s, 10 ms: used', target: { atLeast: 90 } },
      { ...thin.half, name: '100 Mbit/s, 10 ms: an urgent message waits beyond the way' },
      { ...thin.most, name: '100 Mbit/s, 10 ms: the same, 95 of 100' },
    ];
  } finally {
    await server.close();
  }
}

async function opened({ a, server, signal }: Run, address: string, connections: number) {
  const name = { session: randomBytes(16).toString('hex'), migration: 'm-00000000', epoch: 1 };
  const common = { name, graceMs: 60_000, signal };
  const [target, source] = await Promise.all([
    server.accept({ ...common, peer: 'a' }, 10_000, signal),
    openSession({ ...common, peer: 'b', credentials: a, addresses: [address], connections }),
  ]);
  source.onMessage = () => Promise.resolve();
  return { source, target };
}

async function loopback(run: Run): Promise<Measure[]> {
  const rates: number[] = [];
  const seconds: number[] = [];
  for (let turn = 0; turn < run.runs; turn += 1) {
    const { source, target } = await opened(run, run.server.address, 2);
    target.onMessage = () => Promise.resolve();
    const [before, fromMs] = [process.cpuUsage(), performance.now()];
    for (let sent = 0; sent < LOOPBACK_BYTES; sent += MESSAGE.length)
      await source.send(32, MESSAGE);
    await source.close(60_000);
    const { user, system } = process.cpuUsage(before);
    rates.push(LOOPBACK_BYTES / MB / ((performance.now() - fromMs) / 1000));
    seconds.push((user + system) / 1e6 / (LOOPBACK_BYTES / 1e9));
  }
  const { runs } = run;
  return [
    { name: 'loopback, both ends in one thread', value: median(rates), unit: 'MB/s', runs },
    { name: 'processor, both ends', value: median(seconds), unit: 's/GB', runs },
  ];
}

/** Bulk as fast as it goes for 8 s, of which the last 4 count, and an urgent message every 50 ms. */
async function shaped(run: Run, line: Omit<LineData, 'target'>) {
  const used: number[] = [];
  const half: number[] = [];
  const most: number[] = [];
  for (let turn = 0; turn < run.runs; turn += 1) {
    const workerData = { ...line, target: run.server.port };
    const worker = new Worker(new URL('./wire-links-line.ts', import.meta.url), { workerData });
    try {
      const [port] = (await once(worker, 'message')) as [number];
      const { source, target } = await opened(run, `127.0.0.1:${port}`, 2);
      const got = await carried(source, target, line.roundTripMs);
      used.push((got.bytesPerS / line.bytesPerS) * 100);
      half.push(got.halfMs);
      most.push(got.mostMs);
    } finally {
      worker.postMessage('end');
      await once(worker, 'exit');
    }
  }
  const { runs } = run;
  return {
    used: { value: median(used), unit: '%', runs },
    half: { value: median(half), unit: 'ms', runs },
    most: { value: median(most), unit: 'ms', runs },
  };
}

async function carried(source: LinkSession, target: LinkSession, roundTripMs: number) {
  const waits: number[] = [];
  let bytes = 0;
  target.onMessage = (channel, message) => {
    if (channel === 32) bytes += message.length;
    else waits.push(performance.now() - Buffer.from(message).readDoubleBE() - roundTripMs / 2);
    return Promise.resolve();
  };
  const flood = async (): Promise<void> => {
    for (;;) await source.send(32, MESSAGE);
  };
  flood().catch(() => undefined);
  await pause(4000);
  waits.length = 0;
  const [fromBytes, fromMs] = [bytes, performance.now()];
  while (performance.now() - fromMs < 4000) {
    const stamp = Buffer.alloc(4096);
    stamp.writeDoubleBE(performance.now());
    await source.send(16, stamp);
    await pause(50);
  }
  const bytesPerS = ((bytes - fromBytes) * 1000) / (performance.now() - fromMs);
  // Both, since a word of it would be lost in the line: its grace is a minute.
  for (const end of [source, target]) end.abort(new Error('the measure is taken'));
  await target.ended.catch(() => undefined);
  const sorted = waits.toSorted((left, right) => left - right);
  const mostMs = sorted[Math.floor(sorted.length * 0.95)] ?? 0;
  return { bytesPerS, halfMs: median(waits), mostMs };
}

function pause(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}
