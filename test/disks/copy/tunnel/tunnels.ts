import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type net from 'node:net';
import path from 'node:path';
import type { TestContext } from 'node:test';
import {
  openSourceTunnel,
  openTargetTunnel,
  type SourceTunnelOptions,
  type TargetTunnel,
  type Tunnel,
} from '../../../../src/disks/copy/tunnel/open.ts';
import { authority, tempDir } from '../../../rpc/test-contract.ts';
import { Proxy } from '../../../links/session-pair.ts';
import { connect, Listener } from './muxes.ts';

export interface Tunnels {
  readonly source: Tunnel;
  readonly target: TargetTunnel;
  readonly proxy: Proxy;
  readonly options: SourceTunnelOptions;
  /** The source's socket. */
  readonly socket: string;
  readonly listener: Listener;
  /** The two ends of one connection through the tunnel. */
  readonly pair: () => Promise<readonly [net.Socket, net.Socket]>;
}

/** Host b listening, and a proxy before it that can cut. */
export async function listening(t: TestContext, graceMs = 60_000) {
  const directory = tempDir(t);
  const listener = await Listener.at(t, path.join(directory, 'target.sock'));
  const { issue } = await authority(t);
  const [a, credentials] = await Promise.all([issue('a', 'agent'), issue('b', 'agent')]);
  const session = randomBytes(16).toString('hex');
  const terms = { migration: 'm-00000001', epoch: 1, session, graceMs };
  const target = await openTargetTunnel({
    ...terms,
    peer: 'a',
    credentials,
    socket: listener.file,
    hosts: ['127.0.0.1'],
    ports: { from: 0, to: 0 },
  });
  t.after(async () => {
    target.abort(new Error('the test is over'));
    await target.close(1000);
  });
  const proxy = await Proxy.before(t, Number(target.address.split(':').at(-1)));
  return { terms: { ...terms, credentials: a }, directory, listener, target, proxy };
}

/** A tunnel from host a to host b over TLS on loopback, with a proxy that can cut it. */
export async function tunnels(
  t: TestContext,
  given: {
    readonly graceMs?: number;
    readonly signal?: AbortSignal;
    readonly socket?: string;
    /** Something lies where the socket is to be. */
    readonly stale?: boolean;
  } = {},
): Promise<Tunnels> {
  const { terms, directory, listener, target, proxy } = await listening(t, given.graceMs);
  const socket = path.join(directory, given.socket ?? 'source.sock');
  if (given.stale === true) writeFileSync(socket, '');
  const options = {
    ...terms,
    peer: 'b',
    socket,
    addresses: [proxy.address],
    connections: 2,
  };
  const source = await openSourceTunnel(options, given.signal ?? new AbortController().signal);
  t.after(() => source.abort(new Error('the test is over')));
  const pair = async () => {
    const near = await connect(t, socket);
    return [near, await listener.next()] as const;
  };
  return { source, target, proxy, options, socket, listener, pair };
}
