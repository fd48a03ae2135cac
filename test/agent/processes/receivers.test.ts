import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { Receivers } from '../../../src/agent/processes/receivers.ts';
import type {
  ReceiverProcess,
  StartReceiver,
} from '../../../src/agent/processes/receiver-process.ts';
import type { Migration } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { agentConfig } from '../../../src/config.ts';
import { diskSocket, memorySocket, type ManagedDriver } from '../../../src/port/managed.ts';
import { HONEST } from '../../../sim/fake/manager-options.ts';
import { FakeManager } from '../../../sim/fake/managed.ts';
import { GodwitError } from '../../../src/errors.ts';
import { startTicksOf } from '../../../src/system/processes/process.ts';
import { receiverName } from '../../../src/host/journal/receiver-records.ts';
import { silentLog } from '../../../src/log.ts';
import type { ReceiverOrder, ReceiverPlace } from '../../../src/protocol/mover/receiver.ts';
import type { Caller } from '../../../src/rpc/caller.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { until } from '../../until.ts';

const asked = (number: number, from = 'a') => ({
  id: `m-0000000${number}`,
  guest: 'web1',
  from,
  driver: 'fake',
  memoryBytes: 1024,
  terms: { linkGraceMs: 1000, sharing: 'guest' } as const,
  timeoutMs: 60_000,
});
const caller = (name: string): Caller => ({ role: 'agent', name });

const LIVES = new AbortController().signal;
const READY = { address: '127.0.0.1:4711', session: '0'.repeat(32) };

/** As that process does when it begins. */
function record(
  stateDir: string,
  of: ReceiverOrder & { readonly pid: number; readonly startTicks?: number },
): void {
  const { id, from, socket, diskSocket, pid } = of;
  const line = {
    id,
    from,
    socket,
    diskSocket,
    pid,
    startTicks: of.startTicks ?? startTicksOf(pid),
  };
  mkdirSync(path.join(stateDir, 'receivers'), { recursive: true });
  const file = path.join(stateDir, 'receivers', `${receiverName(of)}.json`);
  writeFileSync(file, JSON.stringify(line));
}

/** What was started, and which of it was killed. */
class StartedReceivers {
  readonly orders: ReceiverOrder[] = [];
  /** In the place of an answer at once. */
  ready: Promise<never> | undefined;
  place: ReceiverPlace = READY;
  readonly #ends: (() => void)[] = [];

  readonly start: StartReceiver = (order): ReceiverProcess => {
    this.orders.push(order);
    const gone = Promise.withResolvers<void>();
    this.#ends.push(gone.resolve);
    const ready = this.ready ?? Promise.resolve(this.place);
    return { ready, gone: gone.promise, kill: gone.resolve };
  };

  end(index: number): void {
    this.#ends[index]?.();
  }
}

async function hostB(t: TestContext, sockets = true, knownIds: readonly string[] = []) {
  const directory = tempDir(t);
  const options = { clock: systemClock, random: () => 0.5, hosts: ['a', 'b'], behaves: HONEST };
  const plain = new FakeManager(options).driver('b');
  const memorySockets = { place: '/run/manager', directory };
  const driver: ManagedDriver = sockets
    ? Object.assign(Object.create(plain) as ManagedDriver, { memorySockets })
    : plain;
  const config = agentConfig.parse({
    name: 'b',
    address: '127.0.0.1:0',
    stateDir: tempDir(t),
    limits: { migrationsIn: 3 },
  });
  const started = new StartedReceivers();
  const peers = {
    names: () => ['a', 'c'],
    address: (name: string) => (['a', 'c'].includes(name) ? `${name}:1` : undefined),
  };
  const store = {
    get: (id: string) => (knownIds.includes(id) ? ({ id } as Migration) : undefined),
  };
  const startReceiver = started.start;
  const parts = { config, drivers: [driver], log: silentLog, startReceiver, peers, store };
  const { stateDir } = config;
  // The agent that comes after the first one has ended.
  const next = (): Receivers => new Receivers(parts);
  return { receivers: next(), next, started, directory, stateDir };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const thrown = await work.then(
    () => assert.fail('it was not refused'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof GodwitError);
  return thrown.code;
}

describe('receivers', () => {
  test('a receiver has a socket named by this host, and answers when it waits', async (t) => {
    const { receivers, started, directory } = await hostB(t);
    const found = await receivers.open(asked(1), caller('a'), LIVES);
    assert.equal(found.place, '/run/manager');
    assert.equal(found.address, '127.0.0.1:4711');
    assert.equal(started.orders[0]?.socket, memorySocket(directory, asked(1)));
    const offer = await receivers.offer(asked(2), caller('a'), LIVES);
    assert.equal(offer.place, '/run/manager');
  });

  test('a receiver serves only the host that sends the guest', async (t) => {
    const { receivers, started } = await hostB(t);
    assert.equal(
      await codeOf(receivers.open(asked(1), caller('c'), LIVES)),
      'GODWIT_ROLE_FORBIDDEN',
    );
    assert.equal(
      await codeOf(receivers.offer(asked(1), caller('c'), LIVES)),
      'GODWIT_ROLE_FORBIDDEN',
    );
    assert.equal(started.orders.length, 0);
  });

  test("a receiver reaches only its own host's migrations, whatever id is requested, and stays reachable for its source", async (t) => {
    const { receivers, started, directory } = await hostB(t);
    for (const host of ['c', 'a']) await receivers.open(asked(1, host), caller(host), LIVES);
    const [other, own] = started.orders;
    assert.equal(own?.socket, memorySocket(directory, asked(1)));
    assert.notEqual(other?.socket, own?.socket);
    writeFileSync(own?.socket ?? '', '');
    writeFileSync(other?.socket ?? '', '');
    started.end(0);
    await until('it to be gone', 5000, async () =>
      existsSync(other?.socket ?? '') ? undefined : true,
    );
    assert.equal(existsSync(own?.socket ?? ''), true);
  });

  test("a migration that this host sends, or that uses Godwit's own path, has no receiver", async (t) => {
    const { receivers, started } = await hostB(t, true, [asked(1).id]);
    assert.equal(await codeOf(receivers.open(asked(1), caller('a'), LIVES)), 'GODWIT_ID_REUSED');
    assert.equal(started.orders.length, 0);
  });

  test('a host that is not a peer gets no receiver', async (t) => {
    const { receivers, started } = await hostB(t);
    const stranger = [asked(1, 'd'), caller('d')] as const;
    assert.equal(await codeOf(receivers.open(...stranger, LIVES)), 'GODWIT_HOST_UNKNOWN');
    assert.equal(await codeOf(receivers.offer(...stranger, LIVES)), 'GODWIT_HOST_UNKNOWN');
    assert.equal(started.orders.length, 0);
  });

  test('receivers are limited like incoming guests, fewer per host, and a newer one of a migration replaces the old', async (t) => {
    const { receivers, started } = await hostB(t);
    for (const number of [1, 1, 2]) await receivers.open(asked(number), caller('a'), LIVES);
    assert.equal(await codeOf(receivers.open(asked(3), caller('a'), LIVES)), 'GODWIT_OVERLOADED');
    await receivers.open(asked(3, 'c'), caller('c'), LIVES);
    assert.equal(
      await codeOf(receivers.open(asked(4, 'c'), caller('c'), LIVES)),
      'GODWIT_OVERLOADED',
    );
    started.end(2);
    await receivers.open(asked(3), caller('a'), LIVES);
    assert.equal(started.orders.length, 5);
  });

  test('a receiver of an ended agent counts, is replaced, and leaves no socket once it is killed', async (t) => {
    const { next, started, directory, stateDir } = await hostB(t);
    const processes = [1, 2].map((number) => {
      const sleeper = spawn('sleep', ['60'], { stdio: 'ignore' });
      t.after(() => sleeper.kill('SIGKILL'));
      const socket = memorySocket(directory, asked(number));
      writeFileSync(socket, '');
      record(stateDir, { ...asked(number), socket, pid: sleeper.pid ?? 0 });
      return { sleeper, socket };
    });
    const [first, second] = processes;
    assert.ok(first !== undefined && second !== undefined);
    const receivers = next();
    receivers.sweep();
    assert.equal(existsSync(first.socket), true);
    assert.equal(await codeOf(receivers.open(asked(3), caller('a'), LIVES)), 'GODWIT_OVERLOADED');
    const gone = once(first.sleeper, 'exit');
    await receivers.open(asked(1), caller('a'), LIVES);
    assert.deepEqual(await gone, [null, 'SIGKILL']);
    assert.equal(started.orders.length, 1);
    second.sleeper.kill('SIGKILL');
    await once(second.sleeper, 'exit');
    receivers.sweep();
    assert.deepEqual([existsSync(first.socket), existsSync(second.socket)], [true, false]);
    await receivers.open(asked(3), caller('a'), LIVES);
  });

  test("a receiver does not wait for another migration's receiver", async (t) => {
    const { receivers, started } = await hostB(t);
    const never = Promise.withResolvers<never>();
    started.ready = never.promise;
    const held = receivers.open(asked(1), caller('a'), LIVES);
    await until('the first to begin', 5000, async () => started.orders.length === 1 || undefined);
    started.ready = undefined;
    await receivers.open(asked(2), caller('a'), LIVES);
    never.reject(new Error('it never waits'));
    await assert.rejects(held, /it never waits/);
  });

  test('receivers of one migration start one after another, and not for a caller that has left', async (t) => {
    const { receivers, started } = await hostB(t);
    const first = Promise.withResolvers<never>();
    started.ready = first.promise;
    const held = receivers.open(asked(1), caller('a'), LIVES);
    await until('the first to begin', 5000, async () => started.orders.length === 1 || undefined);
    started.ready = undefined;
    const gone = new AbortController();
    const left = receivers.open(asked(1), caller('a'), gone.signal);
    const next = receivers.open(asked(1), caller('a'), LIVES);
    gone.abort(new Error('the caller is gone'));
    await assert.rejects(left, /the caller is gone/);
    assert.equal(started.orders.length, 1);
    first.reject(new Error('it did not start'));
    await assert.rejects(held, /it did not start/);
    assert.equal((await next).address, READY.address);
    assert.equal(started.orders.length, 2);
  });

  test('a killed receiver leaves no socket', async (t) => {
    const { receivers, started, directory } = await hostB(t);
    await receivers.open(asked(1), caller('a'), LIVES);
    const socket = memorySocket(directory, asked(1));
    writeFileSync(socket, '');
    assert.equal(existsSync(path.dirname(socket)), true);
    started.end(0);
    await until('the socket to be gone', 5000, async () => (existsSync(socket) ? undefined : true));
  });

  test('a receiver has a second socket if disks are copied, answers when it is served, and removes both sockets', async (t) => {
    const { receivers, next, started, directory, stateDir } = await hostB(t);
    assert.equal((await receivers.offer(asked(1), caller('a'), LIVES)).disks, true);
    const disks = { address: '127.0.0.1:4712', session: '1'.repeat(32) };
    started.place = { ...READY, disks };
    const found = await receivers.open({ ...asked(1), disks: true }, caller('a'), LIVES);
    assert.deepEqual(found.disks, disks);
    const own = started.orders[0]?.diskSocket;
    assert.equal(own, diskSocket(directory, asked(1)));
    await receivers.open(asked(2), caller('a'), LIVES);
    assert.equal(started.orders[1]?.diskSocket, undefined);
    writeFileSync(own ?? '', '');
    started.end(0);
    await until('it to be gone', 5000, async () => (existsSync(own ?? '') ? undefined : true));
    const [socket, beside] = [memorySocket(directory, asked(3)), diskSocket(directory, asked(3))];
    for (const each of [socket, beside]) writeFileSync(each, '');
    const dead = spawn('true');
    await once(dead, 'exit');
    record(stateDir, {
      ...asked(3),
      socket,
      diskSocket: beside,
      pid: dead.pid ?? 0,
      startTicks: 1,
    });
    next().sweep();
    assert.deepEqual([existsSync(socket), existsSync(beside)], [false, false]);
  });

  test('a host without a manager that takes memory by a socket has no receiver', async (t) => {
    const { receivers } = await hostB(t, false);
    const offer = await receivers.offer(asked(1), caller('a'), LIVES);
    assert.deepEqual([offer.place, typeof offer.why], [undefined, 'string']);
    assert.equal(await codeOf(receivers.open(asked(1), caller('a'), LIVES)), 'GODWIT_CAPABILITY');
  });
});
