import type { DirectDriver } from '../../port/direct.ts';
import { isManaged, type Driver } from '../../drivers/registry.ts';
import type { GuestHandle, Life } from '../../port/inventory.ts';

/** The driver that made a handle; undefined where this host has none of that name. */
export function driverOf(
  drivers: readonly Driver[],
  handle: GuestHandle | undefined,
): Driver | undefined {
  return drivers.find(({ name }) => name === handle?.driver);
}

/** The same, where Godwit itself takes hold of its hypervisors; undefined where a manager does. */
export function directDriverOf(
  drivers: readonly Driver[],
  handle: GuestHandle | undefined,
): DirectDriver | undefined {
  const driver = driverOf(drivers, handle);
  return driver === undefined || isManaged(driver) ? undefined : driver;
}

/** Whether the hypervisor of a handle lives, as its own driver judges it; unknown where this host has no such driver. */
export async function lifeOfGuest(drivers: readonly Driver[], handle: GuestHandle): Promise<Life> {
  const driver = driverOf(drivers, handle);
  if (driver !== undefined) return driver.life(handle);
  return { state: 'unknown', reason: `this host has no driver ${handle.driver}` };
}
