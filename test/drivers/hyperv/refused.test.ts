import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { ManagedSession } from '../../../src/port/managed.ts';
import type { Check } from '../../../src/protocol/public/migration.ts';
import { HypervPlace } from '../../managers/hyperv/place.ts';
import type { FakeGuest } from '../../managers/hyperv/world.ts';

const signal = AbortSignal.timeout(120_000);
const listing = { host: 'a', busy: new Set<string>(), configured: [] };

let place: HypervPlace;
let guest: FakeGuest;

async function opened(more: object = {}): Promise<ManagedSession> {
  const driver = place.driver(more);
  const [found] = await driver.discover(listing, signal);
  return driver.openManaged(found?.handle ?? assert.fail('it is not listed'));
}

async function refusals(to = 'b', more: object = {}): Promise<Check[]> {
  const session = await opened(more);
  const order = { ...place.order(guest.name), to };
  const found = await session.check(order, signal).finally(() => session.close());
  return found.filter(({ verdict }) => verdict === 'refuse');
}

/** What a person who asks for something impossible is told; Hyper-V is asked to move nothing. */
describe("moves that Hyper-V's hosts refuse", () => {
  before(async () => {
    place = await HypervPlace.open();
  });
  after(() => place.close());
  beforeEach(() => {
    const { world } = place;
    world.host('hv1');
    world.host('hv2');
    world.guests.length = 0;
    guest = world.guest('web', 'hv1');
  });

  const nothingMoved = (): void => {
    assert.equal(place.world.jobs.length, 0);
    assert.equal(guest.host, 'hv1');
    assert.equal(guest.notes, '');
  };

  test('a missing permission at the destination is named, with its purpose and the fix', async () => {
    place.world.hosts.get('hv2')!.denies = true;
    const [found, ...others] = await refusals();
    assert.deepEqual([found?.name, found?.side, others], ['manager', 'destination', []]);
    assert.match(found?.evidence ?? '', /Hyper-V Administrators.*sees and moves no guest/);
    assert.match(found?.evidence ?? '', /Add-LocalGroupMember -SID S-1-5-32-578/);
    nothingMoved();
  });

  test('a guest without the permission at its host is not even listed, in the same words', async () => {
    place.world.hosts.get('hv1')!.denies = true;
    await assert.rejects(place.driver().discover(listing, signal), {
      code: 'GODWIT_HYPERVISOR',
      message: /Hyper-V Administrators.*Add-LocalGroupMember/,
    });
    nothingMoved();
  });

  test('an unknown host is refused with the nearest one of the configuration', async () => {
    const { url, fingerprint } = place.destination;
    const hosts = { berlin: { url, fingerprint, name: 'hv2' } };
    const [found] = await refusals('berlim', { hosts, peers: 'https://127.0.0.1:1/{host}' });
    assert.equal(found?.error?.code, 'GODWIT_UNREACHABLE');
    assert.match(found?.error?.hint ?? '', /^Did you mean berlin\? /);
    nothingMoved();
  });

  test('a guest that was shut down meanwhile is refused with its state', async () => {
    const session = await opened();
    guest.state = 'Off';
    const { checks } = await session.inspect(signal).finally(() => session.close());
    const found = checks.find(({ name }) => name === 'state');
    assert.equal(found?.error?.code, 'GODWIT_GUEST_STATE');
    assert.match(found?.evidence ?? '', /web.*Off/i);
    assert.ok((found?.error?.hint ?? '').length > 20);
    nothingMoved();
  });

  for (const side of ['source', 'destination'] as const) {
    test(`a ${side} of an unknown version is refused with the known versions`, async () => {
      const name = side === 'source' ? 'hv1' : 'hv2';
      place.world.hosts.get(name)!.version = '11.0.30000.0';
      const [found, ...others] = await refusals();
      assert.deepEqual([found?.name, found?.side, others], ['manager', side, []]);
      assert.equal(found?.error?.code, 'GODWIT_MANAGER_VERSION');
      assert.match(found?.evidence ?? '', /Windows 11\.0\.30000\.0, not one of 6\.3, 10\.0/);
      nothingMoved();
    });
  }
});
