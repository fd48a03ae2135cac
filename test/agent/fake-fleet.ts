import type { TestContext } from 'node:test';
import { systemClock } from '../../src/clock.ts';
import type { FakeGuest } from '../../sim/fake/instance.ts';
import type { DirectDriver } from '../../src/port/direct.ts';
import { fakeWorld } from '../../sim/fake/driver.ts';
import { fleet } from './samples.ts';

const MIB = 1024 ** 2;

/** The methods of a driver as options of a test's host, which spreads them. */
export function methodsOf(driver: DirectDriver): Partial<DirectDriver> {
  return {
    capabilities: driver.capabilities,
    hypervisors: (signal) => driver.hypervisors(signal),
    discover: (options, signal) => driver.discover(options, signal),
    life: (handle) => driver.life(handle),
    describe: (handle) => driver.describe(handle),
    isSame: (left, right) => driver.isSame(left, right),
    mayReachUs: (handle) => driver.mayReachUs(handle),
    openSource: (handle, signal) => driver.openSource(handle, signal),
    openDestination: (options) => driver.openDestination(options),
  };
}

/** Hosts a and b over one pretended world, and a guest that runs at a. */
export async function twoFakeHosts(t: TestContext, guest: Partial<FakeGuest> = {}) {
  const { host, caDir } = await fleet(t);
  const machines = { machines: ['fake-1'], bridges: ['br0'] };
  const world = fakeWorld({
    clock: systemClock,
    linkRate: 2 ** 30,
    hosts: { a: machines, b: machines },
  });
  const size = { memoryBytes: 64 * MIB, dirtyRate: MIB };
  const instance = world.boot({ name: 'web1', host: 'a', ...size, ...guest });
  const toA = { a: { address: '127.0.0.1:1' } };
  const b = await host('b', { peers: toA, site: 's2', driver: methodsOf(world.driver('b')) });
  const toB = { b: { address: b.agent.address } };
  const a = await host('a', { peers: toB, site: 's1', driver: methodsOf(world.driver('a')) });
  return { a, b, caDir, instance };
}
