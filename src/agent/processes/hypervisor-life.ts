import type { DirectDriver } from '../../port/direct.ts';
import { isManaged, type Driver } from '../../drivers/registry.ts';
import type { GuestHandle, Life } from '../../port/inventory.ts';

export function driverOf(
  drivers: readonly Driver[],
  handle: GuestHandle | undefined,
): Driver | undefined {
  return drivers.find(({ name }) => name === handle?.driver);
}

/** Like `driverOf`, for drivers that manage hypervisors directly; undefined for a manager's driver. */
export function directDriverOf(
  drivers: readonly Driver[],
  handle: GuestHandle | undefined,
): DirectDriver | undefined {
  const driver = driverOf(drivers, handle);
  return driver === undefined || isManaged(driver) ? undefined : driver;
}

export async function lifeOfGuest(drivers: readonly Driver[], handle: GuestHandle): Promise<Life> {
  const driver = driverOf(drivers, handle);
  if (driver !== undefined) return driver.life(handle);
  return { state: 'unknown', reason: `this host has no driver ${handle.driver}` };
}
