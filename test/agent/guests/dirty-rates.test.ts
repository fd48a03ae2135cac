import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { DirtyRates, type DirtyRatesDependencies } from '../../../src/agent/guests/dirty-rates.ts';
import type { DirectDriver } from '../../../src/port/direct.ts';
import type { DiscoveredGuest } from '../../../src/port/inventory.ts';
import { silentLog } from '../../../src/log.ts';
import { guest, listingDriver } from '../samples.ts';

const MIB = 1024 ** 2;
const TICK_MS = 10_000;

/** A host whose guests write 30 MiB in each window of 3 s; time passes with each tick. */
function host(...guests: DiscoveredGuest[]) {
  const world = {
    nowMs: 0,
    guests,
    looked: [] as string[],
    kept: [] as [string, number][],
    moving: [] as string[],
    isBusy: false,
    counted: (_name: string): boolean => true,
    sample: async (_signal: AbortSignal) => ({ windowMs: 3000, dirtyBytes: 30 * MIB }),
  };
  const sampleDirty: DirectDriver['sampleDirty'] = async ({ name }, signal) => {
    world.looked.push(name);
    return world.sample(signal);
  };
  const running = (): unknown[] =>
    world.moving.map((name) => ({ request: { side: 'source', request: { guest: name } } }));
  const deps: unknown = {
    clock: { monotonicMs: () => world.nowMs },
    log: silentLog,
    store: { running },
    guests: {
      known: () => world.guests,
      drivers: [{ ...listingDriver(() => []), sampleDirty }],
    },
    guestLoads: {
      isCounted: (name: string) => world.counted(name),
      dirtied: (name: string, rate: number) => world.kept.push([name, rate]),
    },
    isBusy: () => world.isBusy,
  };
  const rates = new DirtyRates(deps as DirtyRatesDependencies);
  const ticks = async (count: number): Promise<void> => {
    for (let tick = 0; tick < count; tick += 1) {
      world.nowMs += TICK_MS;
      await rates.look();
    }
  };
  return { world, rates, ticks };
}

describe('dirty rates', () => {
  test('guests are measured one after the other, each once in ten minutes, and the rates are kept by hour', async () => {
    const { world, ticks } = host(guest('web1'), guest('web2'), guest('db1'));
    await ticks(3);
    assert.deepEqual(world.looked, ['web1', 'web2', 'db1']);
    assert.deepEqual(world.kept[0], ['web1', 10 * MIB]);
    await ticks(57);
    assert.equal(world.looked.length, 3);
    await ticks(3);
    assert.deepEqual(world.looked.slice(3), ['web1', 'web2', 'db1']);
  });

  test('a round takes longer if there are many guests, and the host does not measure more often', async () => {
    const { world, ticks } = host(...Array.from({ length: 200 }, (_none, at) => guest(`g${at}`)));
    await ticks(200);
    assert.equal(new Set(world.looked).size, 200);
    await ticks(1);
    assert.deepEqual(world.looked.slice(200), ['g0']);
  });

  test('a guest is not measured while it moves, is paused, or has no hour to count for', async () => {
    const { world, ticks } = host(
      guest('moves'),
      guest('paused', { state: 'paused' }),
      guest('arrives', { migration: 'm-00000001' }),
      guest('managed', {}, false),
      guest('new'),
    );
    world.moving = ['moves'];
    world.counted = (name) => name !== 'new';
    await ticks(10);
    assert.deepEqual(world.looked, []);
    world.moving = [];
    await ticks(1);
    assert.deepEqual(world.looked, ['moves']);
  });

  test('a measurement does not count if the guest began to move meanwhile or the answer came late', async () => {
    const { world, ticks } = host(guest('web1'), guest('web2'));
    world.sample = async () => {
      world.moving = ['web1'];
      return { windowMs: 3000, dirtyBytes: 0 };
    };
    await ticks(1);
    world.sample = async () => ({ windowMs: 9000, dirtyBytes: 30 * MIB });
    await ticks(1);
    assert.deepEqual([world.looked, world.kept], [['web1', 'web2'], []]);
  });

  test('no guest is measured while the host has more work than processors', async () => {
    const { world, ticks } = host(guest('web1'));
    world.isBusy = true;
    await ticks(5);
    assert.deepEqual(world.looked, []);
    world.isBusy = false;
    await ticks(1);
    assert.deepEqual(world.looked, ['web1']);
  });

  test('the rate of an unreadable guest is unknown, and the next guest is measured', async () => {
    const { world, ticks } = host(guest('web1'), guest('web2'));
    world.sample = async () => {
      if (world.looked.length === 1) throw new Error('its monitor is held by another program');
      return { windowMs: 3000, dirtyBytes: 3 * MIB };
    };
    await ticks(60);
    assert.deepEqual([world.looked, world.kept], [['web1', 'web2'], [['web2', MIB]]]);
  });

  test('one measurement runs at a time and ends with the agent', async () => {
    const { world, rates, ticks } = host(guest('web1'), guest('web2'));
    world.sample = (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    const looking = ticks(1);
    await setImmediate();
    void rates.look();
    assert.deepEqual(world.looked, ['web1']);
    rates.stop();
    await looking;
    await ticks(1);
    assert.deepEqual([world.looked, world.kept], [['web1'], []]);
  });
});
