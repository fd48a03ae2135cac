/**
 * Many hosts in one process, for bench/fleet: each has an address of the loopback, a certificate of its own name and the
 * agents' real API over real TLS, as far as a controller asks for it. Speaks to its parent over IPC.
 */
import { EventEmitter, on } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import tls from 'node:tls';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { readAuthority } from '../src/pki/files.ts';
import { makeRequest, signRequest } from '../src/pki/x509.ts';
import { silentLog } from '../src/log.ts';
import { agentContract } from '../src/protocol/contract.ts';
import type { HostEvent } from '../src/protocol/public/hosts/host-event.ts';
import type { GuestInfo } from '../src/protocol/public/hosts/host.ts';
import type { HostLoad } from '../src/protocol/public/hosts/load.ts';
import { pageOf } from '../src/protocol/public/page.ts';
import { PRODUCT_VERSION, PROTOCOL_VERSIONS } from '../src/protocol/version.ts';
import { DEFAULT_LIMITS } from '../src/rpc/limits.ts';
import { serve, type Handlers } from '../src/rpc/server.ts';
import { serverTls } from '../src/rpc/tls.ts';
import { Moves } from './fleet-moves.ts';
import { FLEET_PORT, hostAt, hostNamed, indexOf, SAMPLE_MS } from './fleet-names.ts';

/** After which a host looks again whether it may send. */
const PAUSED_MS = 500;
const GIB = 1024 ** 3;
const [caDir = '', count = '0', guestsOfEach = '0'] = process.argv.slice(2);
const hosts = Number(count);
const authority = readAuthority(caDir);
const ca = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
// One key for all of them: each has its own certificate, and making ten thousand keys is not what is measured.
const { request, key } = await makeRequest('load');
let sent = 0;
let streams = 0;
let isPaused = false;

async function contextOf(index: number): Promise<tls.SecureContext> {
  const subject = { name: hostNamed(index), role: 'agent' as const, addresses: [] };
  const cert = await signRequest(authority, request, subject, { nowMs: Date.now(), days: 1 });
  return tls.createSecureContext(serverTls({ ca, cert, key }));
}

const contexts = new Map<number, tls.SecureContext>();
for (let index = 0; index < hosts; index += 1) {
  contexts.set(index, await contextOf(index));
  if (index % 500 === 499) process.send?.({ made: index + 1 });
}

function guestOf(host: number, index: number): GuestInfo {
  const id = host * 1000 + index;
  return {
    name: `g-${host}-${index}`,
    host: hostNamed(host),
    driver: 'qemu',
    uuid: `00000000-0000-4000-8000-${id.toString(16).padStart(12, '0')}`,
    state: 'running',
    pid: 1000 + index,
    memoryBytes: 4 * GIB,
    vcpus: 2,
    machineType: 'pc-q35-9.2',
    hypervisorVersion: '9.2.0',
    accelerator: 'kvm',
    nics: [{ id: 'net0', mac: '52:54:00:12:34:56', bridge: 'br0' }],
    devices: Array.from({ length: 8 }, (_none, at) => ({ id: `dev${at}`, type: 'virtio-blk-pci' })),
    unmovable: [],
  };
}

function guestsOf(host: number): GuestInfo[] {
  const own = Array.from({ length: Number(guestsOfEach) }, (_none, index) => guestOf(host, index));
  const stayed = own.filter(
    ({ name }) => (moves.whereIs(name) ?? hostNamed(host)) === hostNamed(host),
  );
  const came = moves.guestsMovedTo(hostNamed(host)).map((name) => guestAt(name, host));
  return [...stayed, ...came];
}

/** A guest that moved, as its new host lists it. */
function guestAt(name: string, host: number): GuestInfo {
  const [, from, index] = name.split('-');
  return { ...guestOf(Number(from), Number(index)), host: hostNamed(host) };
}

function loadOf(host: number): HostLoad {
  const used = Math.random();
  return {
    at: new Date().toISOString(),
    overMs: SAMPLE_MS,
    processor: { cores: 64, used, steal: 0 },
    pressure: { processor: used / 2, memorySome: 0, memoryFull: 0, ioSome: 0, ioFull: 0 },
    memory: { totalBytes: 256 * GIB, availableBytes: 128 * GIB, swapUsedBytes: 0 },
    network: { inBytesPerS: 1e8 * used, outBytesPerS: 1e8 * used },
    disk: { readBytesPerS: 1e7 * used, writeBytesPerS: 1e7 * used },
    guests: guestsOf(host).map(({ name }) => ({ name, cores: used, residentBytes: 4 * GIB })),
  };
}

/** Whoever follows a host now, by the host. */
const followers = new EventEmitter<Record<string, [HostEvent]>>().setMaxListeners(0);
const moves = new Moves((guest, from, to) => {
  const id = '000000000000-0';
  followers.emit(from, { id, type: 'guest-gone', name: guest });
  followers.emit(to, { id, type: 'guest', guest: guestAt(guest, indexOf(to)) });
});

/** Its first sample comes anywhere in the ten seconds, as with hosts that were started at any time. */
async function* events(host: number, signal: AbortSignal): AsyncGenerator<HostEvent> {
  streams += 1;
  const id = '000000000000-0';
  const own = new EventEmitter<{ event: [HostEvent] }>();
  const forward = (event: HostEvent): void => void own.emit('event', event);
  followers.on(hostNamed(host), forward);
  let timer: NodeJS.Timeout;
  const sample = (): void => {
    timer = setTimeout(sample, isPaused ? PAUSED_MS : SAMPLE_MS);
    if (isPaused) return;
    forward({ id, type: 'load', load: loadOf(host) });
  };
  timer = setTimeout(sample, Math.random() * SAMPLE_MS);
  try {
    const news = on(own, 'event', { signal });
    yield { id, type: 'ready' };
    for await (const [event] of news as AsyncIterable<[HostEvent]>) {
      yield event;
      if (event.type === 'load') sent += 1;
    }
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  } finally {
    clearTimeout(timer);
    followers.off(hostNamed(host), forward);
    streams -= 1;
  }
}

const { hello, health, host, guests, hostEvents, migrations, migration, putMigration } =
  agentContract;
const contract = { hello, health, host, guests, hostEvents, migrations, migration, putMigration };
const handlers: Handlers<typeof contract> = {
  hello: ({ calledAt }) => ({
    name: hostNamed(hostAt(calledAt)),
    product: `godwit ${PRODUCT_VERSION}`,
    versions: [...PROTOCOL_VERSIONS],
  }),
  health: () => ({ ok: true }),
  host: ({ calledAt }) => ({
    name: hostNamed(hostAt(calledAt)),
    address: `${calledAt}:${FLEET_PORT}`,
    version: PRODUCT_VERSION,
    protocolVersions: [...PROTOCOL_VERSIONS],
    processor: {
      model: 'A processor',
      cores: 64,
      features: Array.from({ length: 120 }, (_none, at) => `feature${at}`),
    },
    memoryBytes: 256 * GIB,
    memoryAvailableBytes: 128 * GIB,
    links: [{ name: 'eth0', kind: 'ether', mtu: 1500, up: true, addresses: [`${calledAt}/8`] }],
    bridges: ['br0'],
    hypervisors: [],
    guests: Number(guestsOfEach),
    migrations: { in: 0, out: 0 },
  }),
  guests: ({ calledAt, query }) => {
    const { items, next } = pageOf(guestsOf(hostAt(calledAt)), (each) => [each.name], query);
    return { guests: items, ...(next === undefined ? {} : { next }) };
  },
  hostEvents: ({ calledAt, signal }) => events(hostAt(calledAt), signal),
  migrations: ({ calledAt, query: { limit } }) => ({
    migrations: moves.newestOf(hostNamed(hostAt(calledAt)), limit),
  }),
  migration: ({ params: { id } }) => moves.of(id),
  putMigration: ({ params: { id }, body: { guest, to }, calledAt }) => ({
    id,
    started: moves.put(id, { guest, from: hostNamed(hostAt(calledAt)), to }),
  }),
};

// Here one process is all the hosts: the share of one requester is that of thousands.
const { controller } = DEFAULT_LIMITS.shares;
const wide = { each: 100_000, all: 100_000 };
const shares = {
  ...DEFAULT_LIMITS.shares,
  controller: { ...controller, requests: wide, waiting: wide, streams: wide },
};
const listener = serve(contract, handlers, {
  name: 'load',
  log: silentLog,
  limits: { shares },
});
const server = http.createServer({ keepAliveTimeout: 300_000, noDelay: true }, listener);
server.requestTimeout = 0;
const tcp = net.createServer({ noDelay: true }, (socket) => {
  const secureContext = contexts.get(hostAt(socket.localAddress));
  if (secureContext === undefined) {
    socket.destroy();
    return;
  }
  const secure = new tls.TLSSocket(socket, {
    isServer: true,
    secureContext,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['http/1.1'],
  });
  secure.on('error', () => socket.destroy());
  secure.once('secure', () => {
    // Node’s own server asks this of OpenSSL; here no such server made the connection.
    const { _handle: handle } = secure as unknown as { _handle: { verifyError(): Error | null } };
    if (handle.verifyError() === null) {
      Object.assign(secure, { authorized: true });
      server.emit('connection', secure);
    } else secure.destroy();
  });
});
tcp.listen({ host: '0.0.0.0', port: FLEET_PORT, backlog: 4096 }, () => {
  process.send?.({ ready: true });
});
process.on('message', (word) => {
  if (word === 'release') moves.release();
  if (word === 'pause' || word === 'go on') isPaused = word === 'pause';
  const { rss } = process.memoryUsage();
  process.send?.({ sent, streams, rss, cpu: process.cpuUsage(), moves: moves.figures() });
});
process.on('disconnect', () => process.exit(0));
