import { systemClock } from '../../src/clock.ts';
import { fakeHandle } from '../../sim/fake/handle.ts';
import { fakeWorld } from '../../sim/fake/driver.ts';
import { runConformance } from './conformance.ts';
import type { TrialSite } from './trial.ts';

const MIB = 1024 * 1024;

async function make(): Promise<TrialSite> {
  const world = fakeWorld({
    clock: systemClock,
    linkRate: 2000 * MIB,
    hosts: { a: { bridges: ['br0'] }, b: { bridges: ['br0'] } },
    tickMs: 2,
  });
  const nics = [{ id: 'n0', mac: '52:54:00:00:00:01', bridge: 'br0' }];
  world.boot({ name: 'web1', host: 'a', memoryBytes: 64 * MIB, dirtyRate: 4 * MIB, nics });
  return {
    source: world.driver('a'),
    destination: world.driver('b'),
    sourceHost: 'a',
    destinationOptions: {
      host: 'b',
      guest: 'web1',
      guestDir: 'web1',
      networks: {},
      listenHost: '127.0.0.1',
      ports: { from: 1, to: 2 },
    },
    guest: 'web1',
    ghost: ({ name }) => fakeHandle(name, 1),
    slow: 20 * MIB,
    breakLink: async () => {
      world.cutLink();
      world.restoreLink();
    },
    dispose: async () => {},
  };
}

runConformance({
  name: 'fake',
  make,
  skip: [
    {
      reason: 'its guests have no pages',
      tests: ['samples what a guest writes, whoever holds its monitor meanwhile'],
    },
  ],
});
