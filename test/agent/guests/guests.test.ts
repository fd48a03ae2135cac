import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { Guests } from '../../../src/agent/guests/guests.ts';
import type { GuestSnapshot } from '../../../src/agent/guests/guest-snapshot.ts';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { agentConfig } from '../../../src/config.ts';
import { godwitError } from '../../../src/errors.ts';
import type { DiscoverOptions } from '../../../src/port/inventory.ts';
import { ADMISSION } from '../../model/events.ts';
import { tempDir } from '../../rpc/test-contract.ts';
import { guest, listingDriver } from '../samples.ts';

/** A host's inventory over a driver that counts how often guests are asked. */
function inventory(t: TestContext, { counts = true } = {}) {
  const world = { names: ['web1'], nowMs: 0, looks: [] as (string | undefined)[] };
  const stateDir = tempDir(t);
  const config = agentConfig.parse({ name: 'a', address: '127.0.0.1:1', stateDir });
  const clock = { ...systemClock, monotonicMs: () => world.nowMs, wallMs: () => world.nowMs };
  const store = new MigrationStore(stateDir, 'a', clock);
  const driver = {
    ...listingDriver(() => []),
    discover: ({ only }: DiscoverOptions) => {
      world.looks.push(only);
      return Promise.resolve(world.names.map((name) => guest(name)));
    },
    ...(counts ? { census: () => Promise.resolve(world.names.join()) } : {}),
  };
  const guests = new Guests(config, [driver], store, clock);
  const names = async (fresh = false): Promise<string[]> =>
    (await guests.listed(fresh)).found.map(({ info }) => info.name);
  return { world, guests, store, names };
}

const UNREACHED = { peer: 'libvirt', address: 'qemu:///system', reason: 'no answer' };
const SILENT = {
  ...listingDriver(() => []),
  discover: () => Promise.reject(godwitError('GODWIT_UNREACHABLE', UNREACHED)),
};

/** A host's inventory over these drivers. */
function guestsOf(t: TestContext, drivers: ConstructorParameters<typeof Guests>[1]): Guests {
  const stateDir = tempDir(t);
  const config = agentConfig.parse({ name: 'a', address: '127.0.0.1:1', stateDir });
  return new Guests(config, drivers, new MigrationStore(stateDir, 'a', systemClock), systemClock);
}

describe('the inventory of guests', () => {
  test('the inventory answers lists without asking a guest, and reports when each guest was seen', async (t) => {
    const { world, guests, names } = inventory(t);
    world.nowMs = 1000;
    assert.deepEqual(await names(), ['web1']);
    world.nowMs = 5000;
    assert.deepEqual(await names(), ['web1']);
    assert.deepEqual(world.looks, [undefined], 'one look for two lists');
    assert.equal((await guests.listed()).observedAt, new Date(1000).toISOString());
  });

  test("a guest that both its manager and its hypervisor's driver see is listed once", async (t) => {
    const seen = (driver: string, uuid: string, held: boolean) =>
      guest(`${driver}-${uuid}`, { driver, uuid }, held);
    const drivers = [
      listingDriver(() => [seen('qemu', '1', false), seen('qemu', '2', false)]),
      listingDriver(() => [seen('libvirt', '1', true)]),
    ];
    const { found } = await guestsOf(t, drivers).listed(true);
    assert.deepEqual(
      found.map(({ info }) => info.name),
      ['qemu-2', 'libvirt-1'],
    );
  });

  test('a container that only its manager lists is found by its name', async (t) => {
    const container = guest('web1', { driver: 'criu', manager: 'docker' }, false);
    const other = guest('web2', { manager: 'libvirt', uuid: '1' }, false);
    const here = [container, other];
    const guests = guestsOf(t, [listingDriver(() => here)]);
    assert.equal(await guests.has('web1'), false);
    assert.equal(await guests.has('web2'), true);
    assert.equal((await guests.need('web1')).info.manager, 'docker');
    here.push(guest('web1'));
    assert.equal(await guests.has('web1'), true);
    assert.notEqual((await guests.need('web1')).handle, undefined);
  });

  test('a guest of one driver is found if another driver cannot look', async (t) => {
    const drivers = [SILENT, listingDriver(() => [guest('web1')])];
    const guests = guestsOf(t, drivers);
    assert.equal((await guests.need('web1')).info.name, 'web1');
    assert.equal(await guests.has('web1'), true);
    // One that nobody sees may be the other driver's, and a list would lack its guests.
    await assert.rejects(guests.need('web2'), { code: 'GODWIT_UNREACHABLE' });
    await assert.rejects(guests.has('web2'), { code: 'GODWIT_UNREACHABLE' });
    await assert.rejects(guests.look(), { code: 'GODWIT_UNREACHABLE' });
    const list = await guests.listed(true);
    assert.deepEqual(
      list.found.map(({ info }) => info.name),
      ['web1'],
    );
    assert.deepEqual(
      list.silent.map(({ driver, asOfMs }) => [driver, asOfMs]),
      [['fake', undefined]],
    );
  });

  test('the guests of a silent manager are listed as in its last answer, after a short wait', async (t) => {
    const stateDir = tempDir(t);
    const config = agentConfig.parse({ name: 'a', address: '127.0.0.1:1', stateDir });
    const waits: number[] = [];
    const sleep = async (ms: number): Promise<void> => void waits.push(ms);
    const clock = { ...systemClock, wallMs: () => 7, sleep };
    const store = new MigrationStore(stateDir, 'a', clock);
    const facts = { peer: 'libvirt', address: 'qemu:///system', reason: 'no answer' };
    const silence = godwitError('GODWIT_UNREACHABLE', facts);
    const late = Promise.withResolvers<never>();
    t.after(() => late.reject(silence));
    const answers = [Promise.resolve([guest('web2')]), Promise.reject(silence), late.promise];
    for (const answer of answers) answer.catch(() => {});
    const manager = {
      ...listingDriver(() => []),
      discover: () => answers.shift() ?? assert.fail(),
    };
    const events: string[][] = [];
    const seen = (_before: unknown, now: GuestSnapshot): void =>
      void events.push(now.guests.map(({ name }) => name));
    const drivers = [manager, listingDriver(() => [guest('web1')])];
    const guests = new Guests(config, drivers, store, clock, { seen });
    const names = async (): Promise<string[]> =>
      (await guests.listed(true)).found.map(({ info }) => info.name).toSorted();
    for (const _ of [1, 2, 3]) assert.deepEqual(await names(), ['web1', 'web2']);
    assert.deepEqual(waits, [1000], 'only a list that follows a failed look is limited so');
    assert.deepEqual(events.flat().toSorted(), ['web1', 'web1', 'web1', 'web2', 'web2', 'web2']);
    const { silent } = await guests.listed(true);
    assert.equal(silent[0]?.asOfMs, 7);
  });

  test("a list fails if none of the host's drivers answers", async (t) => {
    const guests = guestsOf(t, [SILENT]);
    await assert.rejects(guests.listed(), { code: 'GODWIT_UNREACHABLE' });
  });

  test('the inventory is refreshed at once when a hypervisor starts or ends', async (t) => {
    const { world, names } = inventory(t);
    await names();
    world.names = ['web1', 'web2'];
    assert.deepEqual(await names(), ['web1', 'web2']);
    world.names = ['web2'];
    assert.deepEqual(await names(), ['web2']);
    assert.equal(world.looks.length, 3);
  });

  test('the inventory is refreshed when a migration begins', async (t) => {
    const { world, store, guests, names } = inventory(t);
    await names();
    const id = 'm-00000001';
    store.add({
      version: 1,
      id,
      side: 'destination',
      fromHost: 'b',
      toHost: 'a',
      peer: { name: 'b', address: 'b:1' },
      createdAt: new Date(0).toISOString(),
      admission: { ...ADMISSION, id, guest: 'web1' },
    });
    assert.equal((await guests.listed()).found[0]?.info.migration, id);
    assert.equal(world.looks.length, 2);
  });

  test('the inventory is refreshed when it is old or when a caller requires it', async (t) => {
    const { world, names } = inventory(t);
    await names();
    await names(true);
    assert.equal(world.looks.length, 2);
    world.nowMs = 60_000;
    await names();
    assert.equal(world.looks.length, 3);
  });

  test('the inventory keeps nothing of a driver that cannot list its running hypervisors', async (t) => {
    const { world, names } = inventory(t, { counts: false });
    await names();
    await names();
    assert.equal(world.looks.length, 2);
  });

  test('the inventory is not evidence for an action: the guest to be moved is asked, and only that guest', async (t) => {
    const { world, guests, names } = inventory(t);
    await names();
    await guests.need('web1');
    await assert.rejects(guests.need('web9'), { code: 'GODWIT_GUEST_UNKNOWN' });
    assert.equal(await guests.has('web1'), true);
    assert.deepEqual(world.looks, [undefined, 'web1', 'web9', 'web1']);
  });

  test('callers that ask at the same time share one look', async (t) => {
    const { world, names } = inventory(t);
    await Promise.all([names(), names(), names()]);
    assert.equal(world.looks.length, 1);
  });
});
