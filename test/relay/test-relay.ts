import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import tls from 'node:tls';
import type { TLSSocket } from 'node:tls';
import { silentLog } from '../../src/log.ts';
import type { Role } from '../../src/protocol/route.ts';
import { startRelay, type RelayOptions, type RunningRelay } from '../../src/relay/relay.ts';
import { clientTls, type Credentials } from '../../src/rpc/tls.ts';
import { RELAY_ALPN } from '../../src/protocol/relay.ts';
import { authority, tempDir } from '../rpc/test-contract.ts';

export interface AroundRelay {
  readonly relay: RunningRelay;
  readonly caDir: string;
  readonly issue: (name: string, role: Role, days?: number) => Promise<Credentials>;
  /** A host that uses this relay. */
  readonly host: (name: string) => Promise<Credentials>;
  /** Ends the relay, and starts one on the same port. */
  readonly restart: () => Promise<RunningRelay>;
  readonly stop: () => Promise<void>;
  /** Starts a further relay, with the same certificate; it ends with the test. */
  readonly further: () => Promise<RunningRelay>;
}

/** A relay r on loopback, for the hosts a, b and c. */
export async function aroundRelay(
  t: TestContext,
  given: Partial<RelayOptions> = {},
): Promise<AroundRelay> {
  const { caDir, issue } = await authority(t);
  const pkiDir = path.join(tempDir(t), 'relay');
  const own = await issue('r', 'relay');
  mkdirSync(pkiDir);
  for (const [file, text] of [
    ['ca.crt', own.ca],
    ['relay.crt', own.cert],
    ['relay.key', own.key],
  ] as const)
    writeFileSync(path.join(pkiDir, file), text, { mode: 0o600 });
  const start = (address: string): Promise<RunningRelay> =>
    startRelay({
      log: silentLog,
      ...given,
      config: {
        name: 'r',
        address,
        addresses: [],
        pkiDir,
        hosts: ['a', 'b', 'c'],
        logLevel: 'info',
      },
    });
  let relay = await start('127.0.0.1:0');
  const { address } = relay;
  t.after(() => relay.close());
  return {
    get relay() {
      return relay;
    },
    caDir,
    issue,
    host: async (name) => ({
      ...(await issue(name, 'agent')),
      relayed: { self: name, relays: [{ name: 'r', address }] },
    }),
    restart: async () => {
      await relay.close();
      relay = await start(address);
      return relay;
    },
    stop: () => relay.close(),
    further: async () => {
      const other = await start('127.0.0.1:0');
      t.after(() => other.close());
      return other;
    },
  };
}

/** A TLS server of a host on loopback that echoes; `port` is the one it is known by. */
export async function echoing(t: TestContext, credentials: Credentials) {
  const server = tls.createServer(
    { ca: credentials.ca, cert: credentials.cert, key: credentials.key, minVersion: 'TLSv1.3' },
    (socket) => {
      socket.on('error', () => undefined);
      socket.pipe(socket);
    },
  );
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const listening = once(server, 'listening');
  server.listen(0, '127.0.0.1');
  await listening;
  t.after(() => server.close());
  return { server, port: (server.address() as AddressInfo).port };
}

/** A bare stream to a relay, as anybody may open one who has these credentials. */
export async function bareStream(
  t: TestContext,
  address: string,
  credentials: Credentials,
): Promise<{ socket: TLSSocket; line: () => Promise<Record<string, unknown>> }> {
  const at = new URL(`tls://${address}`);
  const socket = tls.connect({
    ...clientTls(credentials),
    ALPNProtocols: [RELAY_ALPN],
    host: at.hostname,
    port: Number(at.port),
  });
  t.after(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const lines = socket.iterator({ destroyOnReturn: false });
  let text = '';
  const line = async (): Promise<Record<string, unknown>> => {
    while (!text.includes('\n')) {
      const { value, done } = (await lines.next()) as { value?: Buffer; done?: boolean };
      if (done === true || value === undefined) return { type: 'closed' };
      text += value.toString();
    }
    const end = text.indexOf('\n');
    const first = text.slice(0, end);
    text = text.slice(end + 1);
    return JSON.parse(first) as Record<string, unknown>;
  };
  return { socket, line };
}
