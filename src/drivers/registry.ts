import path from 'node:path';
import type { AgentConfig } from '../config.ts';
import { godwitError } from '../errors.ts';
import type { DirectDriver } from './port/direct.ts';
import type { FakeWorld, WorldOptions } from './fake/world.ts';
import { QemuDriver } from './qemu/driver.ts';

/** A driver of either shape, as the registry gives it. */
export type Driver = DirectDriver;

type HostConfig = Pick<AgentConfig, 'name' | 'stateDir' | 'qemu' | 'qemuUser'>;

/** Every driver, set up for a host by its name: the one place where a driver is added. */
const DRIVERS: Readonly<Record<string, (config: HostConfig) => Driver>> = {
  qemu: (config) =>
    new QemuDriver({
      host: config.name,
      binaries: config.qemu,
      user: config.qemuUser,
      cacheDir: path.join(config.stateDir, 'cache'),
    }),
};

/** The driver of messages and records that name none: there was no other when they were made. */
const UNNAMED = 'qemu';

/** What a message says of the driver: nothing where an older peer would mean it all the same. */
export function driverSaid(name: string): { readonly driver?: string } {
  return name === UNNAMED ? {} : { driver: name };
}

/** The driver of that name, set up for this host. GODWIT_PROTOCOL_INVALID for a name that is none. */
export function driverNamed(name: string | undefined, config: HostConfig): Driver {
  const make = Object.hasOwn(DRIVERS, name ?? UNNAMED) ? DRIVERS[name ?? UNNAMED] : undefined;
  if (make !== undefined) return make(config);
  throw godwitError('GODWIT_PROTOCOL_INVALID', {
    peer: 'the other host',
    expected: `a driver (${Object.keys(DRIVERS).join(', ')})`,
    what: String(name).slice(0, 32),
  });
}

/** Every driver of this host. */
export function allDrivers(config: HostConfig): Driver[] {
  return Object.values(DRIVERS).map((make) => make(config));
}

/** A pretended world of hosts, for tests and simulations. */
export async function fakeWorld(options: WorldOptions): Promise<FakeWorld> {
  const { FakeWorld: World } = await import('./fake/world.ts');
  return new World(options);
}
