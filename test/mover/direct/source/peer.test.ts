import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { godwitError, toGodwitError } from '../../../../src/errors.ts';
import { DestinationPeer } from '../../../../src/mover/direct/source/peer.ts';
import type { DestinationStatus } from '../../../../src/protocol/peer/migration.ts';
import type { Connect } from '../../../../src/mover/shared/surroundings.ts';
import type { AskKernel } from '../../../../src/rpc/reach.ts';
import { client } from '../../../../src/rpc/client.ts';
import type { Listening } from '../../../../src/rpc/listen.ts';
import type { Credentials } from '../../../../src/rpc/tls.ts';
import { authority } from '../../../rpc/test-contract.ts';
import { serveAgent, servePeer } from '../fake-peers.ts';
import { untilSo } from '../../../until.ts';
import { unreachable } from './unreachable.ts';
import { admissionOf } from '../../../protocol/peer/admission.ts';

const id = 'm-00000001';
const admission = admissionOf({ id });
const prepared: DestinationStatus = { id, epoch: 1, state: 'prepared', hypervisor: 'incoming' };
const never = new AbortController().signal;

/** Host b, whose mover may be replaced; and host a's view of it. */
interface Scene {
  readonly peer: DestinationPeer;
  readonly theirs: Credentials;
  mover: Listening;
  asked: string[];
}

async function scene(t: TestContext, known = true): Promise<Scene> {
  const { issue } = await authority(t);
  const [ours, theirs] = await Promise.all([issue('a', 'agent'), issue('b', 'agent')]);
  const mover = await servePeer(theirs, { status: () => prepared });
  const made: Scene = { peer: undefined as never, theirs, mover, asked: [] };
  const answer = (what: string) => () => {
    made.asked.push(what);
    if (!known) throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id, host: 'b' });
    return { moverAddress: made.mover.address, version: 1 };
  };
  const agent = await serveAgent(theirs, { admit: answer('admit'), incoming: answer('incoming') });
  const peer = new DestinationPeer('b', [agent.address], connectAs(ours));
  t.after(async () => {
    peer.close();
    await Promise.all([agent.close(), made.mover.close()]);
  });
  return Object.assign(made, { peer });
}

const connectAs =
  (credentials: Credentials): Connect =>
  (contract, expectedName, address) =>
    client(contract, { address, credentials, expectedName });

const statusOf = (peer: DestinationPeer): Promise<DestinationStatus> =>
  peer.call(id, never, (api) => api.status({}));

describe('the destination as a peer', () => {
  test('the destination is unknown before it has admitted the guest', async (t) => {
    const { peer } = await scene(t);
    assert.equal(peer.known, false);
    await assert.rejects(statusOf(peer), { code: 'GODWIT_INTERNAL' });
    await peer.warm(never);
  });

  test('the destination is called at the address that its agent gave', async (t) => {
    const { peer, mover, asked } = await scene(t);
    assert.equal((await peer.admit(admission, never)).moverAddress, mover.address);
    assert.equal(peer.known, true);
    await peer.warm(never);
    assert.deepEqual(await statusOf(peer), prepared);
    assert.deepEqual(asked, ['admit']);
  });

  test('the destination is found again through its agent when its mover has been replaced', async (t) => {
    const made = await scene(t);
    await made.peer.admit(admission, never);
    assert.deepEqual(await statusOf(made.peer), prepared);
    await made.mover.close();
    made.mover = await servePeer(made.theirs, { status: () => ({ ...prepared, note: 'anew' }) });
    assert.equal((await statusOf(made.peer)).note, 'anew');
    assert.deepEqual(made.asked, ['admit', 'incoming']);
  });

  test('the destination is called by a new mover at the address in the journal', async (t) => {
    const { peer, mover, asked } = await scene(t);
    peer.resume(mover.address);
    peer.resume('127.0.0.1:1');
    assert.deepEqual(await statusOf(peer), prepared);
    assert.deepEqual(asked, []);
  });

  test('the destination is located if the answer to the admission was lost', async (t) => {
    const { peer } = await scene(t);
    assert.equal(await peer.locate(id, never), true);
    assert.deepEqual(await statusOf(peer), prepared);
    const other = await scene(t, false);
    assert.equal(await other.peer.locate(id, never), false);
    assert.equal(other.peer.known, false);
  });

  test('a destination that refuses is not asked again', async (t) => {
    const made = await scene(t);
    let calls = 0;
    await made.mover.close();
    made.mover = await servePeer(made.theirs, {
      status: () => {
        calls += 1;
        throw godwitError('GODWIT_NOT_ARMED', { host: 'b', guest: 'web1', epoch: 1, reason: 'x' });
      },
    });
    await made.peer.admit(admission, never);
    await assert.rejects(statusOf(made.peer), { code: 'GODWIT_NOT_ARMED' });
    assert.equal(calls, 1);
  });

  test('a destination that stays away is tried until the signal ends it', async (t) => {
    const made = await scene(t);
    await made.peer.admit(admission, never);
    await made.mover.close();
    const enough = new AbortController();
    const reason = new Error('the step is over');
    const asking = made.peer.call(id, enough.signal, (api) => {
      if (made.asked.length > 1) enough.abort(reason);
      return api.status({});
    });
    await assert.rejects(asking, (thrown) => enough.signal.aborted && thrown instanceof Error);
    assert.deepEqual(made.asked.slice(0, 2), ['admit', 'incoming']);
  });

  describe('with a closed mover port', () => {
    /** A host whose firewall drops what comes to other ports; the mover is replaced by a call that fails. */
    async function behindFirewall(t: TestContext, heard = 0) {
      const { issue } = await authority(t);
      const [ours, theirs] = await Promise.all([issue('a', 'agent'), issue('b', 'agent')]);
      const where = { moverAddress: '127.0.0.1:49200', version: 1 };
      const agent = await serveAgent(theirs, { admit: () => where, incoming: () => where });
      const seen = { calls: 0, asked: 0, isOpen: false };
      const status = async (): Promise<DestinationStatus> => {
        seen.calls += 1;
        if (seen.isOpen || seen.calls <= heard) return prepared;
        throw unreachable;
      };
      const connect: Connect = (contract, expectedName, address) =>
        address === where.moverAddress
          ? ({ api: { status }, close: () => undefined } as never)
          : client(contract, { address, credentials: ours, expectedName });
      const ask: AskKernel = async (address) => {
        assert.equal(address, where.moverAddress);
        seen.asked += 1;
        return { what: seen.isOpen ? 'answer' : 'silence', said: '' };
      };
      const reach = async (): Promise<boolean> => true;
      const peer = new DestinationPeer('b', [agent.address], connect, { reach, askKernel: ask });
      t.after(async () => {
        peer.close();
        await agent.close();
      });
      return { peer, seen, where };
    }

    test('a destination with a closed mover port is given up at once, with the port and a remedy', async (t) => {
      const { peer, seen } = await behindFirewall(t);
      await peer.admit(admission, never);
      await assert.rejects(statusOf(peer), (thrown) => {
        const { code, message, hint } = toGodwitError(thrown);
        assert.equal(code, 'GODWIT_UNREACHABLE');
        assert.match(message, /nothing comes back from port 49200, where its mover listens/);
        return /firewall/.test(hint) && /`ports`/.test(hint);
      });
      assert.deepEqual([seen.calls, seen.asked], [1, 2]);
      // What undoes it does not wait for a connection, and finds a port that was opened meanwhile.
      await assert.rejects(statusOf(peer), { code: 'GODWIT_UNREACHABLE' });
      assert.equal(seen.calls, 1);
      seen.isOpen = true;
      assert.deepEqual(await statusOf(peer), prepared);
    });

    test('a destination with a closed mover port is awaited if any mover was heard from once', async (t) => {
      for (const heard of [1, 0]) {
        const { peer, seen, where } = await behindFirewall(t, heard);
        if (heard === 0) peer.resume(where.moverAddress);
        else await peer.admit(admission, never);
        if (heard > 0) await statusOf(peer);
        const asking = statusOf(peer);
        await untilSo(() => seen.calls >= heard + 2);
        seen.isOpen = true;
        assert.deepEqual(await asking, prepared);
        assert.equal(seen.asked, 0);
      }
    });
  });

  test('a destination whose agent no longer has the migration reports that', async (t) => {
    const made = await scene(t, false);
    const gone = made.mover.address;
    await made.mover.close();
    made.peer.resume(gone);
    await assert.rejects(statusOf(made.peer), { code: 'GODWIT_MIGRATION_UNKNOWN' });
  });

  test('a destination with a certificate of another name is not called', async (t) => {
    const { issue } = await authority(t);
    const [ours, theirs] = await Promise.all([issue('a', 'agent'), issue('c', 'agent')]);
    const agent = await serveAgent(theirs, {
      admit: () => ({ moverAddress: '127.0.0.1:1', version: 1 }),
      incoming: () => ({ moverAddress: '127.0.0.1:1', version: 1 }),
    });
    const peer = new DestinationPeer('b', [agent.address], connectAs(ours));
    t.after(async () => {
      peer.close();
      await agent.close();
    });
    await assert.rejects(peer.admit(admission, never), { code: 'GODWIT_PEER_UNTRUSTED' });
  });
});
