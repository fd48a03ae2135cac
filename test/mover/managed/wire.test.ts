import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { describe, test, type TestContext } from 'node:test';
import { initCa, issue, storeCredentials } from '../../../src/pki/authority.ts';
import { agentConfig } from '../../../src/config.ts';
import type { SourceTunnelOptions, Tunnel } from '../../../src/disks/copy/tunnel/open.ts';
import { diskSocket } from '../../../src/port/managed.ts';
import { silentLog } from '../../../src/log.ts';
import type { Connect } from '../../../src/mover/shared/surroundings.ts';
import { ManagedWire, type ManagedWireDependencies } from '../../../src/mover/managed/wire.ts';
import type { Receiver } from '../../../src/protocol/peer/receiver.ts';
import { managedMoverRequest } from '../../../src/protocol/mover/request.ts';
import { type SourceWire, NO_FIGURES } from '../../../src/wire/open.ts';
import { tempDir } from '../../rpc/test-contract.ts';

const LIVES = new AbortController().signal;
const LOAD = { memoryBytes: 1024, copies: [] };
const DISK = { name: 'vda', file: '/i/x', format: 'raw', sizeBytes: 1, place: 'd' };
const WITH_DISK = { ...LOAD, copies: [DISK] };

/** One session: how it ends, the test says. */
class Session {
  readonly end = Promise.withResolvers<void>();
  readonly closing = Promise.withResolvers<void>();
  aborts: string[] = [];
  readonly wire: SourceWire = {
    limit: () => undefined,
    ended: this.end.promise,
    measure: { bytesPerS: 0, roundTripMs: 0, connections: 1, cutForMs: undefined },
    figures: () => NO_FIGURES,
    close: () => this.closing.promise,
    abort: (error) => void this.aborts.push(error.message),
  };
}

const PLACE = { address: '127.0.0.1:4711', session: '0'.repeat(32), place: '/run/manager' };
const DISKS = { address: '127.0.0.1:4712', session: '1'.repeat(32) };

/** The path of the disks, and what was asked of it. */
class PretendedTunnel {
  readonly end = Promise.withResolvers<void>();
  readonly said: string[] = [];
  readonly tunnel = {
    ended: this.end.promise,
    close: async () => void this.said.push('closed'),
    abort: (error: Error) => void this.said.push(error.message),
    figures: () => ({ sentBytes: 7, receivedBytes: 0, linkBytes: 9, cuts: 0, longestCutMs: 0.4 }),
  } as unknown as Tunnel;
}

async function wireOf(
  t: TestContext,
  opens: (session: Session) => Promise<SourceWire>,
  answer: Receiver = PLACE,
) {
  const stateDir = tempDir(t);
  const caDir = path.join(stateDir, 'ca');
  await initCa(caDir);
  const pki = await issue({ caDir, name: 'a', role: 'agent', addresses: ['127.0.0.1'] });
  storeCredentials(path.join(stateDir, 'pki'), pki);
  const config = agentConfig.parse({ name: 'a', address: '127.0.0.1:0', stateDir });
  const session = new Session();
  const tunnelled = new PretendedTunnel();
  const asked: SourceTunnelOptions[] = [];
  const bodies: unknown[] = [];
  const connect = (() => ({
    api: { openReceiver: async ({ body }: { body: unknown }) => (bodies.push(body), answer) },
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
  const tunnel = async (options: SourceTunnelOptions): Promise<Tunnel> => {
    asked.push(options);
    // As that one does.
    writeFileSync(options.socket, '');
    return tunnelled.tunnel;
  };
  const deps: ManagedWireDependencies = {
    config,
    driver,
    request,
    log: silentLog,
    connect,
    wire,
    tunnel,
  };
  const { directory } = driver.memorySockets;
  return { managed: new ManagedWire(deps), session, tunnelled, asked, bodies, directory };
}

describe("a managed guest's wire", () => {
  test("a managed guest's wire reports its cause if it breaks before the manager's task has ended", async (t) => {
    const { managed, session } = await wireOf(t, async ({ wire }) => wire);
    await managed.open(LOAD, LIVES);
    session.end.reject(new Error('the links are cut'));
    await setImmediate();
    session.closing.resolve();
    assert.equal((await managed.close())?.why, 'the links are cut');
  });

  test("a managed guest's wire is not reported as broken by an event during its close", async (t) => {
    const { managed, session } = await wireOf(t, async ({ wire }) => wire);
    await managed.open(LOAD, LIVES);
    const closed = managed.close();
    session.end.reject(new Error('what was under way is broken off'));
    await setImmediate();
    session.closing.resolve();
    const done = await closed;
    assert.deepEqual([done?.why, done?.figures.sessions], [undefined, 1]);
    assert.equal(await managed.close(), undefined);
  });

  test("a managed guest's wire can be aborted during its close, too", async (t) => {
    const { managed, session } = await wireOf(t, async ({ wire }) => wire);
    await managed.open(LOAD, LIVES);
    const closed = managed.close();
    managed.abort('the mover ends');
    session.closing.resolve();
    await closed;
    assert.deepEqual(session.aborts, ['the mover ends']);
  });

  test("a managed guest's wire does not open once its mover ends, and a late one is closed", async (t) => {
    const late = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<void>();
    const { managed, session } = await wireOf(t, async ({ wire }) => {
      begun.resolve();
      await late.promise;
      return wire;
    });
    const opening = managed.open(LOAD, LIVES);
    await begun.promise;
    managed.abort('the mover ends');
    late.resolve();
    await assert.rejects(opening, /the mover ends/);
    assert.deepEqual(session.aborts, ['the mover ends']);
    assert.equal(await managed.close(), undefined);
  });

  test("a managed guest's wire has a path for copied disks, and the report has its traffic", async (t) => {
    const made = await wireOf(t, async ({ wire }) => wire, { ...PLACE, disks: DISKS });
    const { managed, session, tunnelled, asked, bodies, directory } = made;
    await managed.open(WITH_DISK, LIVES);
    assert.equal((bodies[0] as { disks: boolean }).disks, true);
    const [options] = asked;
    assert.deepEqual([options?.session, options?.addresses], [DISKS.session, [DISKS.address]]);
    assert.equal(options?.socket, diskSocket(directory, { id: 'm-00000001', from: 'a' }));
    tunnelled.end.reject(new Error('its links are cut'));
    await setImmediate();
    session.closing.resolve();
    const done = await managed.close();
    assert.deepEqual([done?.disks?.sentBytes, done?.disks?.sessions], [7, 1]);
    assert.equal(done?.why, 'its links are cut');
    assert.deepEqual(tunnelled.said, ['closed']);
    await managed.sweep();
    assert.deepEqual(readdirSync(directory), []);
  });

  test("a managed guest's wire is aborted together with the path for disks", async (t) => {
    const { managed, session, tunnelled } = await wireOf(t, async ({ wire }) => wire, {
      ...PLACE,
      disks: DISKS,
    });
    await managed.open(WITH_DISK, LIVES);
    managed.abort('the mover ends');
    assert.deepEqual([session.aborts, tunnelled.said], [['the mover ends'], ['the mover ends']]);
  });

  test("a managed guest's wire is not opened if the other agent has no path for copied disks", async (t) => {
    const { managed, session } = await wireOf(t, async ({ wire }) => wire);
    await assert.rejects(managed.open(WITH_DISK, LIVES), /for memory alone/);
    assert.deepEqual(session.aborts, []);
  });
});
