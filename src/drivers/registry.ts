import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { godwitError } from '../errors.ts';
import type { Driver } from './port/driver.ts';
import type { FakeWorld, WorldOptions } from './fake/world.ts';
import { QemuDriver } from './qemu/driver.ts';

/** Names of the drivers that this host can use. */
export const DRIVER_NAMES = ['qemu'] as const;

type HostConfig = Pick<AgentConfig, 'name' | 'stateDir' | 'qemu' | 'qemuUser'>;

/** The driver of that name, set up for this host. GODWIT_PROTOCOL_INVALID for a name that is none. */
export function driverNamed(name: string, config: HostConfig): Driver {
  switch (name) {
    case 'qemu':
      return new QemuDriver({
        host: config.name,
        binaries: config.qemu,
        user: config.qemuUser,
        cacheDir: path.join(config.stateDir, 'cache'),
      });
    default:
      throw godwitError('GODWIT_PROTOCOL_INVALID', {
        peer: 'the other host',
        expected: `a driver (${DRIVER_NAMES.join(', ')})`,
        what: name.slice(0, 32),
      });
  }
}

/** Every driver of this host. */
export function allDrivers(config: HostConfig): Driver[] {
  return DRIVER_NAMES.map((name) => driverNamed(name, config));
}

/** A pretended world of hosts, for tests and simulations. */
export async function fakeWorld(options: WorldOptions): Promise<FakeWorld> {
  const { FakeWorld: World } = await import('./fake/world.ts');
  return new World(options);
}
