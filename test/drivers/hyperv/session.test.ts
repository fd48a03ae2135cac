import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { delegationScript } from '../../../src/drivers/hyperv/check.ts';
import { hypervOptions } from '../../../src/drivers/hyperv/options.ts';
import type { ManagedSession } from '../../../src/port/managed.ts';
import type { Check } from '../../../src/protocol/public/migration.ts';
import { systemClock } from '../../../src/clock.ts';
import { HypervPlace } from '../../managers/hyperv/place.ts';
import type { FakeGuest } from '../../managers/hyperv/world.ts';

let place: HypervPlace;
let guest: FakeGuest;
let count = 0;
const signal = AbortSignal.timeout(120_000);

async function withSession<T>(
  work: (session: ManagedSession) => Promise<T>,
  more: object = {},
): Promise<T> {
  const driver = place.driver(more);
  const handle = await handleOf(driver);
  const session = await driver.openManaged(handle);
  return work(session).finally(() => session.close());
}

async function handleOf(driver: ReturnType<HypervPlace['driver']>) {
  const options = { host: 'a', busy: new Set<string>(), configured: [] };
  const found = await driver.discover({ ...options, only: guest.name }, signal);
  const handle = found.at(0)?.handle;
  assert.ok(handle);
  return handle;
}

/** Names of what is not a pass, with the code of each refusal. */
async function findings(more: object = {}): Promise<[string, string][]> {
  const found = await checksOf(more);
  return found
    .filter(({ verdict }) => verdict !== 'pass')
    .map(({ name, error }) => [name, error?.code ?? 'warn']);
}

function checksOf(more: object = {}): Promise<Check[]> {
  return withSession(async (session) => {
    const { checks } = await session.inspect(signal);
    return [...checks, ...(await session.check(place.order(guest.name), signal))];
  }, more);
}

describe('a guest of Hyper-V', () => {
  before(async () => {
    place = await HypervPlace.open();
  });
  after(() => place.close());
  beforeEach(() => {
    const { world } = place;
    world.host('hv1');
    world.host('hv2');
    Object.assign(world, {
      taskMs: 200,
      ends: { state: 7, error: '' },
      incompatibilities: [],
      compareFails: undefined,
      returns: 4096,
      events: [],
    });
    count += 1;
    guest = world.guest(`web${count}`, 'hv1');
  });

  test('a guest on shared storage has no obstacle', async () => {
    assert.deepEqual(await findings(), []);
    assert.equal(place.world.jobs.length, 0);
  });

  const obstacles: [string, () => void, [string, string][]][] = [
    [
      'has no processor compatibility',
      () => (guest.compatibility = false),
      [['processor', 'warn']],
    ],
    [
      'has an assigned device',
      () => guest.devices.push('PCI'),
      [['devices', 'GODWIT_DEVICE_UNMOVABLE']],
    ],
    [
      'has an ISO image of this host',
      () => guest.images.push(String.raw`C:\x.iso`),
      [['images', 'warn']],
    ],
    [
      'is on a switch that the destination lacks',
      () => guest.switches.push('dmz'),
      [['switches', 'GODWIT_DEVICE_UNMAPPED']],
    ],
    [
      'has a local disk',
      () => (guest.disks[0]!.path = String.raw`D:\x.vhdx`),
      [['disks', 'GODWIT_DISK_LOCAL']],
    ],
    [
      'has a physical disk',
      () => (guest.disks[0]!.physical = true),
      [['disks', 'GODWIT_DISK_LOCAL']],
    ],
    [
      'goes to a host with migration off',
      () => (hv2().enabled = false),
      [['live-migration', 'GODWIT_MANAGER_REFUSES']],
    ],
    ['goes to a host at its limit', () => (hv2().active = 2), [['limit', 'GODWIT_OVERLOADED']]],
    [
      'goes to a host that names no network',
      () => (hv2().anyNetwork = false),
      [['networks', 'GODWIT_MANAGER_REFUSES']],
    ],
    [
      'goes to a host with CredSSP',
      () => (hv2().authentication = 'CredSSP'),
      [['authentication', 'GODWIT_MANAGER_REFUSES']],
    ],
    [
      'goes to a host in no domain',
      () => (hv2().domain = ''),
      [['authentication', 'GODWIT_MANAGER_REFUSES']],
    ],
    [
      'is a role of a cluster that the destination is not in',
      () => (guest.clustered = true),
      [['cluster', 'GODWIT_MANAGER_REFUSES']],
    ],
    [
      'uses features that the other processor lacks',
      () => finds('The virtual machine is using processor-specific features not supported on hv2.'),
      [['compare', 'GODWIT_CPU_FEATURE']],
    ],
    [
      'is refused by words nobody knows',
      () => finds('It is Tuesday.'),
      [['compare', 'GODWIT_MANAGER_REFUSES']],
    ],
  ];
  for (const [what, make, expected] of obstacles) {
    test(`a guest that ${what}: ${expected.join(' ')}`, async () => {
      make();
      const found = await checksOf();
      const named = found.filter(({ verdict }) => verdict !== 'pass');
      assert.deepEqual(
        named.map(({ name, error }) => [name, error?.code ?? 'warn']),
        expected,
      );
      for (const { error, hint } of named) assert.ok((error?.hint ?? hint ?? '').length > 20);
      assert.equal(place.world.jobs.length, 0);
    });
  }

  test('a source without delegation rights gets the script that grants them', async () => {
    place.world.compareFails = { message: 'No credentials are available', hresult: -2146893042 };
    const found = (await checksOf()).find(({ name }) => name === 'delegation');
    assert.match(found?.error?.hint ?? '', /PrincipalsAllowedToDelegateToAccount/);
    assert.match(found?.error?.hint ?? '', /'hv1'.*'hv2'/);
    assert.doesNotMatch(delegationScript("a'; Remove-Item", 'b'), /; Remove/);
  });

  test('a guest with local disks moves with them if the destination has a folder for them', async () => {
    guest.disks[0]!.path = String.raw`D:\x.vhdx`;
    const { url, fingerprint } = place.destination;
    const hosts = { b: { url, fingerprint, name: 'hv2', storage: String.raw`E:\vm` } };
    assert.deepEqual(await findings({ hosts }), []);
  });

  test('a guest of a cluster is moved by its cluster', async () => {
    guest.clustered = true;
    place.world.hosts.get('hv1')!.nodes.push('HV1', 'HV2');
    assert.deepEqual(await findings(), []);
    await withSession(async (session) => {
      await session.start(place.order(guest.name), signal);
      assert.equal((await ended(session)).state, 'done');
    });
    assert.equal(guest.host, 'hv2');
  });

  test('a move that Hyper-V refuses is refused with its message, and leaves no mark', async () => {
    place.world.returns = 32_784;
    await withSession(async (session) => {
      const failed = session.start(place.order(guest.name), signal);
      await assert.rejects(failed, { code: 'GODWIT_HYPERVISOR', message: /incompatible/ });
    });
    assert.equal(guest.notes, '');
  });

  test('an order whose answer is lost does not count as refused', async () => {
    await withSession(async (session) => {
      await session.inspect(signal);
      place.source.temper.garbage = { text: 'x', times: 1 };
      const failed = session.start(place.order(guest.name), signal);
      await assert.rejects(failed, { code: 'GODWIT_UNREACHABLE' });
    });
  });

  test('a task that failed is reported with its message, its events and a remedy', async () => {
    place.world.ends = { state: 10, error: 'Failed to connect (0x8007274C).' };
    place.world.events = [{ id: 21_502, level: 2, message: 'Live migration failed.' }];
    const sight = await withSession(async (session) => {
      await session.start(place.order(guest.name), signal);
      return ended(session);
    });
    assert.equal(sight.state, 'failed');
    assert.match(JSON.stringify(sight), /0x8007274C.*6600.*Event 21502: Live migration failed/);
  });

  test("the owner's notes stay as they were", async () => {
    guest.notes = 'mine';
    await withSession(async (session) => {
      const order = place.order(guest.name);
      await session.start(order, signal);
      assert.equal((await ended(session)).state, 'done');
      assert.match(guest.notes, /^mine\n\[godwit m-00000001 /);
      await session.finish(order, signal);
    });
    assert.equal(guest.notes, 'mine');
  });

  test('a machine with the name of a script is not listed, and runs nothing', async () => {
    place.world.guest("'; Remove-Item C:\\ -Recurse #", 'hv1');
    place.world.guest('$(Stop-VM *)', 'hv1');
    assert.deepEqual(await findings(), []);
  });

  test('neither of two machines with one name is moved', async () => {
    place.world.guest('twin', 'hv1');
    place.world.guest('twin', 'hv1');
    const options = { host: 'a', busy: new Set<string>(), configured: [], only: 'twin' };
    const found = await place.driver().discover(options, signal);
    assert.deepEqual(
      found.map(({ handle }) => handle),
      [undefined, undefined],
    );
  });

  test("a silent destination is refused, and the guest's place stays unknown", async () => {
    const hosts = { b: { url: 'https://127.0.0.1:1/wsman', name: 'hv2' } };
    assert.deepEqual(await findings({ hosts }), [['manager', 'GODWIT_UNREACHABLE']]);
    const [silent] = (await checksOf({ hosts })).filter(({ verdict }) => verdict === 'refuse');
    assert.match(silent?.error?.hint ?? '', /another hypervisor .*virt-v2v/);
    const where = await withSession((session) => session.where(place.order(guest.name), signal), {
      hosts,
    });
    assert.deepEqual(where, { at: 'source', busy: false });
  });
});

describe('silent sources', () => {
  test('a silent source does not keep the destination from reporting the guest', async () => {
    const far = await HypervPlace.open();
    const moved = far.world.guest('moved', 'hv2');
    const handle = { driver: 'hyperv', name: 'moved', machine: moved.id };
    const driver = far.driver({ url: 'https://127.0.0.1:1/wsman' });
    const session = await driver.openManaged(handle);
    try {
      assert.deepEqual(await session.where(far.order('moved'), signal), { at: 'destination' });
      moved.notes = 'mine\n[godwit m-00000001 2026-01-01T00:00:00.000Z]';
      const finished = session.finish(far.order('moved'), signal);
      await assert.rejects(finished, { code: 'GODWIT_UNREACHABLE' });
      assert.equal(moved.notes, 'mine');
    } finally {
      await session.close();
      await far.close();
    }
  });
});

test('a URL of WinRM holds no password', () => {
  const options = { url: 'https://hv1:5986/wsman', user: 'u', passwordFile: '/p' };
  assert.equal(hypervOptions.safeParse(options).success, true);
  const url = 'https://u:secret@hv1:5986/wsman';
  assert.equal(hypervOptions.safeParse({ ...options, url }).success, false);
  const peers = 'https://u:secret@{host}:5986/wsman';
  assert.equal(hypervOptions.safeParse({ ...options, peers }).success, false);
});

const hv2 = () => place.world.hosts.get('hv2')!;

function finds(message: string): void {
  place.world.incompatibilities = [{ id: 33_012, message, source: guest.name }];
}

async function ended(session: ManagedSession) {
  for (;;) {
    const sight = await session.look(place.order(guest.name), signal);
    if (sight.state !== 'running' && sight.state !== 'none') return sight;
    await systemClock.sleep(20, signal);
  }
}
