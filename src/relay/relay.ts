import type { AddressInfo, Socket } from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { ownIdentity } from '../pki/own-identity.ts';
import { systemClock, type Clock } from '../clock.ts';
import { godwitError, type GodwitError } from '../errors.ts';
import { filesOf, liveCredentials, RELAY_STEM } from '../host/credentials.ts';
import { Fleet } from '../host/fleet.ts';
import type { Log } from '../log.ts';
import { RELAY_ALPN } from '../protocol/relay.ts';
import { askFor, callerOf } from '../rpc/caller.ts';
import { listenAt } from '../rpc/listen-at.ts';
import { Gate, putBefore } from '../rpc/gate.ts';
import { identityOfCaller } from '../rpc/identity.ts';
import { DEFAULT_LIMITS } from '../rpc/limits.ts';
import { CONNECTION, ownRefusals } from '../rpc/refusals.ts';
import { keepCurrent, serverTls, type Credentials } from '../rpc/tls.ts';
import type { RelayConfig } from './config.ts';
import { PAIRING_LIMITS, type PairingLimits } from './pairing.ts';
import { SPLICE_LIMITS, type SpliceLimits } from './splice.ts';
import { Streams } from './streams.ts';

export interface RelayOptions {
  readonly config: RelayConfig;
  readonly log: Log;
  readonly clock?: Clock;
  readonly limits?: Partial<PairingLimits>;
  readonly splice?: SpliceLimits;
}

export interface RunningRelay {
  readonly address: string;
  /** Streams in any state. */
  readonly streams: number;
  readonly joined: number;
  close(): Promise<void>;
}

/** From the connection to its first line, including the handshake, ms. */
const GREETING_MS = 5000;
const TICK_MS = 500;

/** Starts a relay. GODWIT_PKI or GODWIT_CONFIG if its certificate is unsuitable. */
export async function startRelay(options: RelayOptions): Promise<RunningRelay> {
  const { config, log, clock = systemClock } = options;
  const credentials = ownCredentials(config, clock);
  const limits = { ...PAIRING_LIMITS, ...options.limits };
  const streams = new Streams({ clock, log, limits, splice: options.splice ?? SPLICE_LIMITS });
  const server = tls.createServer(
    {
      ...serverTls(credentials),
      ALPNProtocols: [RELAY_ALPN],
      handshakeTimeout: GREETING_MS,
      // Each direction ends separately.
      allowHalfOpen: true,
    },
    (socket) => take(socket),
  );
  askFor(server, credentials);
  keepCurrent(server, credentials);
  const gate = gateFor(limits, clock);
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  guard(server, gate, log);
  const take = (socket: TLSSocket): void => {
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 10_000);
    socket.on('error', ({ message }) => log.debug({ reason: message }, 'stream broke'));
    const refusal = gate.identify(socket) ?? refusalOf(socket);
    if (refusal === undefined) streams.greet(socket, callerOf(socket), GREETING_MS);
    else refuse(socket, refusal, log);
  };
  const listeners = await listenAt(server, config.address, config.addresses, log);
  const ticking = setInterval(() => streams.time(), TICK_MS);
  const { address, family, port } = server.address() as AddressInfo;
  const where = family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  log.info({ address: where }, 'relay serves');
  return {
    address: where,
    get streams() {
      return streams.size;
    },
    get joined() {
      return streams.joined;
    },
    close: async () => {
      clearInterval(ticking);
      listeners.close();
      const closed = new Promise((done) => server.close(done));
      for (const each of sockets) each.destroy();
      await closed;
    },
  };
}

/** Only hosts may use a relay. */
function refusalOf(socket: TLSSocket): GodwitError | undefined {
  const caller = callerOf(socket);
  if (caller.role === 'none') return caller.refusal;
  if (caller.role === 'agent' || caller.role === 'controller') return undefined;
  const facts = { peer: caller.name, role: caller.role, action: 'to use a relay' };
  return godwitError('GODWIT_ROLE_FORBIDDEN', { ...facts, needs: 'the role agent or controller' });
}

function refuse(socket: TLSSocket, error: GodwitError, log: Log): void {
  const { label: peer, circle } = identityOfCaller(callerOf(socket), socket.remoteAddress);
  const { code, message } = error;
  const note = ownRefusals.note({ peer, circle, code, message });
  if (note !== undefined) log.warn({ by: peer, reason: message, ...note }, 'stream refused');
  socket.end(`${JSON.stringify({ type: 'refused', error })}\n`);
  socket.resume();
  setTimeout(() => socket.destroy(), 1000).unref();
}

/** An agent's gate, with the relay's limits of streams per host. */
function gateFor({ streamsEach: each, streamsAll: all }: PairingLimits, clock: Clock): Gate {
  const { shares, handshakes } = DEFAULT_LIMITS;
  const connections = { each, all };
  const agent = { ...shares.agent, connections };
  return new Gate({ shares: { ...shares, agent }, handshakes }, () => clock.monotonicMs());
}

/** A refused connection costs no handshake. */
function guard(server: tls.Server, gate: Gate, log: Log): void {
  putBefore(server, gate, (peer, message) => {
    const note = ownRefusals.note({ peer, circle: 'stranger', code: CONNECTION, message });
    if (note !== undefined) log.warn({ from: peer, ...note }, 'connection refused');
  });
  server.on('tlsClientError', ({ message }: Error, socket: Socket) => {
    log.debug({ reason: message }, 'TLS handshake failed');
    socket.destroy();
  });
}

/** The certificate must have its name and role, because hosts rely on them. */
function ownCredentials(config: RelayConfig, clock: Clock): Credentials {
  const { name, pkiDir, hosts } = config;
  // Addresses do not matter, because hosts connect to the relay.
  const peers = Object.fromEntries(
    hosts.map((host) => [host, { address: `${host}.relay:1`, addresses: [] }]),
  );
  // The relay is not a host, whatever its name.
  const fleet = new Fleet({ name: 'this relay', stateDir: pkiDir, pkiDir, peers }, clock);
  const files = filesOf(RELAY_STEM);
  const credentials = liveCredentials(pkiDir, files, fleet);
  const file = path.join(pkiDir, files.cert);
  const shown = ownIdentity(file, credentials.cert);
  if (shown.name === name && shown.role === 'relay') return credentials;
  const what = `is for ${shown.name} (${shown.role}); this is ${name} and needs the role relay`;
  throw godwitError('GODWIT_CONFIG', { file, what });
}
