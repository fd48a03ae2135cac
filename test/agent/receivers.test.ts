import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { Receivers } from '../../src/agent/receivers.ts';
import type { ReceiverProcess, StartReceiver } from '../../src/agent/receiver-process.ts';
import { systemClock } from '../../src/clock.ts';
import { agentConfig } from '../../src/config.ts';
import { memorySocket } from '../../src/drivers/port/managed.ts';
import type { ManagedDriver } from '../../src/drivers/port/managed.ts';
import { HONEST } from '../../src/drivers/fake/manager-options.ts';
import { fakeManager } from '../../src/drivers/registry.ts';
import { GodwitError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import type { ReceiverOrder } from '../../src/protocol/mover/receiver.ts';
import type { Caller } from '../../src/rpc/caller.ts';
import { tempDir } from '../rpc/test-contract.ts';
import { until } from '../until.ts';

const asked = (number: number, from = 'a') => ({
  id: `m-0000000${number}`,
  guest: 'web1',
  from,
  driver: 'fake',
  memoryBytes: 1024,
  terms: { linkGraceMs: 1000, sharing: 'guest' } as const,
});
const caller = (name: string): Caller => ({ role: 'agent', name });

/** What was started, and which of it was killed. */
class Started {
  readonly orders: ReceiverOrder[] = [];
  readonly #ends: (() => void)[] = [];

  readonly start: StartReceiver = (order): ReceiverProcess => {
    this.orders.push(order);
    const gone = Promise.withResolvers<void>();
    this.#ends.push(gone.resolve);
    const ready = { address: '127.0.0.1:4711', session: '0'.repeat(32) };
    return { ready: Promise.resolve(ready), gone: gone.promise, kill: gone.resolve };
  };

  end(index: number): void {
    this.#ends[index]?.();
  }
}

async function hostB(t: TestContext, sockets = true) {
  const directory = tempDir(t);
  const options = { clock: systemClock, random: () => 0.5, hosts: ['a', 'b'], behaves: HONEST };
  const plain = (await fakeManager(options)).driver('b');
  const memorySockets = { place: '/run/manager', directory };
  const driver: ManagedDriver = sockets
    ? Object.assign(Object.create(plain) as ManagedDriver, { memorySockets })
    : plain;
  const config = agentConfig.parse({
    name: 'b',
    address: '127.0.0.1:0',
    stateDir: tempDir(t),
    limits: { migrationsIn: 2 },
  });
  const started = new Started();
  const parts = { config, drivers: [driver], log: silentLog, startReceiver: started.start };
  return { receivers: new Receivers(parts), started, directory };
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  const thrown = await work.then(
    () => assert.fail('it was not refused'),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof GodwitError);
  return thrown.code;
}

describe('receivers of a host', () => {
  test('have a socket that this host names, and answer where they wait', async (t) => {
    const { receivers, started, directory } = await hostB(t);
    const found = await receivers.open(asked(1), caller('a'));
    assert.equal(found.place, '/run/manager');
    assert.equal(found.address, '127.0.0.1:4711');
    assert.equal(started.orders[0]?.socket, memorySocket(directory, 'm-00000001'));
    const offer = await receivers.offer(asked(2), caller('a'));
    assert.equal(offer.place, '/run/manager');
  });

  test('are for the host that sends the guest alone', async (t) => {
    const { receivers, started } = await hostB(t);
    assert.equal(await codeOf(receivers.open(asked(1), caller('c'))), 'GODWIT_ROLE_FORBIDDEN');
    assert.equal(await codeOf(receivers.offer(asked(1), caller('c'))), 'GODWIT_ROLE_FORBIDDEN');
    await receivers.open(asked(1), caller('a'));
    assert.equal(await codeOf(receivers.open(asked(1, 'c'), caller('c'))), 'GODWIT_ID_REUSED');
    assert.equal(started.orders.length, 1);
  });

  test('are as many as guests may come at once, and the newest of a migration replaces the one before', async (t) => {
    const { receivers, started } = await hostB(t);
    for (const number of [1, 1, 2]) await receivers.open(asked(number), caller('a'));
    assert.equal(await codeOf(receivers.open(asked(3), caller('a'))), 'GODWIT_OVERLOADED');
    started.end(2);
    await receivers.open(asked(3), caller('a'));
    assert.equal(started.orders.length, 4);
  });

  test('that were killed leave no socket', async (t) => {
    const { receivers, started, directory } = await hostB(t);
    await receivers.open(asked(1), caller('a'));
    const socket = memorySocket(directory, 'm-00000001');
    writeFileSync(socket, '');
    assert.equal(existsSync(path.dirname(socket)), true);
    started.end(0);
    await until('the socket to be gone', 5000, async () => (existsSync(socket) ? undefined : true));
  });

  test('are none where no manager takes memory by a socket', async (t) => {
    const { receivers } = await hostB(t, false);
    const offer = await receivers.offer(asked(1), caller('a'));
    assert.deepEqual([offer.place, typeof offer.why], [undefined, 'string']);
    assert.equal(await codeOf(receivers.open(asked(1), caller('a'))), 'GODWIT_CAPABILITY');
  });
});
