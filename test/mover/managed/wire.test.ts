import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { initCa, issue, storeCredentials } from '../../../src/agent/pki/authority.ts';
import { agentConfig } from '../../../src/config.ts';
import { silentLog } from '../../../src/log.ts';
import type { Connect } from '../../../src/mover/engine/surroundings.ts';
import { ManagedWire } from '../../../src/mover/managed/wire.ts';
import type { ManagedWireDependencies } from '../../../src/mover/managed/wire.ts';
import { managedMoverRequest } from '../../../src/protocol/mover/request.ts';
import type { Wire } from '../../../src/wire/open.ts';
import { NO_FIGURES } from '../../../src/wire/relay/relay-end.ts';
import path from 'node:path';
import { tempDir } from '../../rpc/test-contract.ts';

const LIVES = new AbortController().signal;

/** One session: how it ends, the test says. */
class Session {
  readonly end = Promise.withResolvers<void>();
  readonly closing = Promise.withResolvers<void>();
  aborts: string[] = [];
  readonly wire: Wire = {
    ended: this.end.promise,
    measure: { bytesPerS: 0, roundTripMs: 0, connections: 1, cutForMs: undefined },
    figures: () => NO_FIGURES,
    close: () => this.closing.promise,
    abort: (error) => void this.aborts.push(error.message),
  };
}

async function wireOf(t: TestContext, opens: (session: Session) => Promise<Wire>) {
  const stateDir = tempDir(t);
  const caDir = path.join(stateDir, 'ca');
  await initCa(caDir);
  const pki = await issue({ caDir, name: 'a', role: 'agent', addresses: ['127.0.0.1'] });
  storeCredentials(path.join(stateDir, 'pki'), pki);
  const config = agentConfig.parse({ name: 'a', address: '127.0.0.1:0', stateDir });
  const session = new Session();
  const answer = { address: '127.0.0.1:4711', session: '0'.repeat(32), place: '/run/manager' };
  const connect = (() => ({
    api: { openReceiver: async () => answer },
    close: () => undefined,
  })) as unknown as Connect;
  const request = managedMoverRequest.parse({
    version: 2,
    id: 'm-00000001',
    side: 'source',
    lifecycle: 'managed',
    createdAt: '2026-01-01T00:00:00.000Z',
    fromHost: 'a',
    toHost: 'b',
    configFile: '/none',
    request: { guest: 'web1', to: 'b', path: 'wire' },
    handle: { driver: 'libvirt', name: 'web1', data: {} },
    peer: { name: 'b', address: '127.0.0.1:1' },
  });
  const driver = {
    name: 'libvirt',
    memorySockets: { place: '/run/manager', directory: tempDir(t) },
  };
  const none = (): Promise<never> => Promise.reject(new Error('no target here'));
  const wire = { source: () => opens(session), target: none };
  const parts: ManagedWireDependencies = { config, driver, request, log: silentLog, connect, wire };
  return { managed: new ManagedWire(parts), session };
}

describe('the wire of a guest that its manager moves', () => {
  test('says why it is over where it breaks before the manager’s task has ended', async (t) => {
    const { managed, session } = await wireOf(t, async ({ wire }) => wire);
    await managed.open(1024, LIVES);
    session.end.reject(new Error('the links are cut'));
    await setImmediate();
    session.closing.resolve();
    assert.equal((await managed.close())?.why, 'the links are cut');
  });

  test('is not said to have broken by what is heard of it once it is being closed', async (t) => {
    const { managed, session } = await wireOf(t, async ({ wire }) => wire);
    await managed.open(1024, LIVES);
    const closed = managed.close();
    session.end.reject(new Error('what was under way is broken off'));
    await setImmediate();
    session.closing.resolve();
    const done = await closed;
    assert.deepEqual([done?.why, done?.figures.sessions], [undefined, 1]);
    assert.equal(await managed.close(), undefined);
  });

  test('is broken off while it is being closed, too', async (t) => {
    const { managed, session } = await wireOf(t, async ({ wire }) => wire);
    await managed.open(1024, LIVES);
    const closed = managed.close();
    managed.abort('the mover ends');
    session.closing.resolve();
    await closed;
    assert.deepEqual(session.aborts, ['the mover ends']);
  });

  test('is opened no more once its mover ends: what opens late is broken off', async (t) => {
    const late = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { managed, session } = await wireOf(t, async ({ wire }) => {
      begun.resolve();
      await late.promise;
      return wire;
    });
    const opening = managed.open(1024, LIVES);
    await begun.promise;
    managed.abort('the mover ends');
    late.resolve();
    await assert.rejects(opening, /the mover ends/);
    assert.deepEqual(session.aborts, ['the mover ends']);
    assert.equal(await managed.close(), undefined);
  });
});
