import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test, type TestContext } from 'node:test';
import { silentLog } from '../../../../src/log.ts';
import { DestinationPeer } from '../../../../src/mover/direct/source/peer.ts';
import type { Connect } from '../../../../src/mover/shared/surroundings.ts';
import { agentContract } from '../../../../src/protocol/contract.ts';
import { peerContract } from '../../../../src/protocol/peer/contract.ts';
import { splitAddress, withHost } from '../../../../src/protocol/names.ts';
import type { DestinationStatus } from '../../../../src/protocol/peer/migration.ts';
import { client } from '../../../../src/rpc/client.ts';
import { listenTls, type Listening } from '../../../../src/rpc/listen.ts';
import type { Reach } from '../../../../src/rpc/reach.ts';
import { reachHost } from '../../../../src/host/machine/host-kernel.ts';
import { serve } from '../../../../src/rpc/server.ts';
import { authority } from '../../../rpc/test-contract.ts';
import { handlersOf } from '../fake-peers.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';

const id = 'm-00000001';
const admission = admissionOf({ id });
const status: DestinationStatus = { id, epoch: 1, state: 'armed', hypervisor: 'paused' };
const MAIN = '127.0.0.1';
const OTHER = '127.0.0.2';
const never = new AbortController().signal;

interface Scene {
  readonly peer: DestinationPeer;
  /** Addresses of the destination that take nothing. */
  readonly dark: Set<string>;
  /** Over which address each call came to the destination's mover. */
  readonly calledAt: (string | undefined)[];
  readonly mover: Listening;
  /** Resolves when a dark path was asked so often from now on. */
  readonly missed: (times: number) => Promise<void>;
}

/** Host b with two addresses. One of them may go dark: it takes connections and bytes, and answers nothing. */
async function scene(t: TestContext): Promise<Scene> {
  const { issue } = await authority(t);
  const [ours, theirs] = await Promise.all([issue('a', 'agent'), issue('b', 'agent')]);
  const log = { log: silentLog };
  const served = { name: 'b', log: silentLog };
  const calledAt: (string | undefined)[] = [];
  const moverHandlers = handlersOf<Parameters<typeof serve<typeof peerContract>>[1]>(peerContract, {
    status: (call) => {
      calledAt.push(call.calledAt);
      return status;
    },
  });
  const ports = { from: 42_500, to: 42_799 };
  const mover = await listenTls(
    serve(peerContract, moverHandlers, served),
    { host: MAIN, ports, furtherHosts: [OTHER] },
    theirs,
    log,
  );
  const reported = { moverAddress: mover.address, version: 1 };
  const agentHandlers = handlersOf<Parameters<typeof serve<typeof agentContract>>[1]>(
    agentContract,
    { admit: () => reported, incoming: () => reported },
  );
  const agent = await listenTls(
    serve(agentContract, agentHandlers, served),
    { host: MAIN, ports, furtherHosts: [OTHER] },
    theirs,
    log,
  );
  const pit = net.createServer().listen(0, '127.0.0.9');
  await once(pit, 'listening');
  const { port } = pit.address() as net.AddressInfo;
  const sunk = new Set<net.Socket>();
  pit.on('connection', (socket) => sunk.add(socket));
  const dark = new Set<string>();
  let onMiss = (): void => {};
  const missed = (times: number): Promise<void> =>
    new Promise((resolve) => {
      let count = 0;
      onMiss = () => {
        count += 1;
        if (count === times) resolve();
      };
    });
  const connect: Connect = (contract, expectedName, address) => {
    const lost = dark.has(splitAddress(address).host);
    const to = lost ? `127.0.0.9:${port}` : address;
    return client(contract, { address: to, credentials: ours, expectedName });
  };
  const reach: Reach = async (address, timeoutMs, signal) => {
    if (!dark.has(splitAddress(address).host)) return reachHost(address, timeoutMs, signal);
    onMiss();
    return false;
  };
  const addresses = [agent.address, withHost(agent.address, OTHER)];
  const peer = new DestinationPeer('b', addresses, connect, { reach });
  t.after(async () => {
    peer.close();
    for (const socket of sunk) socket.destroy();
    pit.close();
    await Promise.all([mover.close(), agent.close()]);
  });
  return { peer, dark, calledAt, mover, missed };
}

const asks = (peer: DestinationPeer): Promise<string> =>
  peer.call(id, AbortSignal.timeout(30_000), async (api, route) => {
    await api.status({}, { deadlineMs: 20_000 });
    return route('127.0.0.1:5');
  });

describe('a destination with two addresses', () => {
  test('a destination with two addresses is called at its first as long as that answers', async (t) => {
    const { peer, calledAt } = await scene(t);
    await peer.admit(admission, never);
    assert.equal(await asks(peer), '127.0.0.1:5');
    assert.deepEqual(calledAt, [MAIN]);
    assert.equal(await peer.answers(never), true);
  });

  test('a destination is called at its other address when the first accepts data and never answers', async (t) => {
    const { peer, dark, calledAt, mover } = await scene(t);
    // As after a takeover: no connection is open yet, so all of them are swallowed.
    peer.resume(mover.address);
    dark.add(MAIN);
    assert.equal(await peer.answers(never), false);
    // Also what it reports of itself is then reached by the other.
    assert.equal(await asks(peer), '127.0.0.2:5');
    assert.deepEqual(calledAt, [OTHER]);
    assert.equal(splitAddress(peer.address).host, OTHER);
  });

  test('a destination is asked to admit a guest over the open path', async (t) => {
    const { peer, dark, calledAt } = await scene(t);
    dark.add(MAIN);
    await peer.admit(admission, never);
    assert.equal(await asks(peer), '127.0.0.2:5');
    assert.deepEqual(calledAt, [OTHER]);
  });

  test('a destination is called over one path again when both were dark for a while', async (t) => {
    const { peer, dark, mover, missed } = await scene(t);
    peer.resume(mover.address);
    dark.add(MAIN).add(OTHER);
    assert.equal(await peer.choose(never), false);
    const asking = asks(peer);
    await missed(1);
    dark.clear();
    assert.match(await asking, /:5$/);
  });
});

test('a port without a listener counts as reached; a missing host does not', async () => {
  const closed = net.createServer().listen(0, MAIN);
  await once(closed, 'listening');
  const { port } = closed.address() as net.AddressInfo;
  closed.close();
  await once(closed, 'close');
  assert.equal(await reachHost(`${MAIN}:${port}`, 5000, never), true);
  assert.equal(await reachHost('255.255.255.255:1', 5000, never), false);
  const gone = AbortSignal.abort(new Error('enough'));
  await assert.rejects(reachHost(`${MAIN}:${port}`, 5000, gone), /enough/);
});
