import type { Driver, GuestHandle, Life } from '../drivers/port/driver.ts';

/** Whether the hypervisor of a handle lives, as its own driver judges it; unknown where this host has no such driver. */
export async function lifeOfGuest(drivers: readonly Driver[], handle: GuestHandle): Promise<Life> {
  const driver = drivers.find(({ name }) => name === handle.driver);
  if (driver !== undefined) return driver.life(handle);
  return { state: 'unknown', reason: `this host has no driver ${handle.driver}` };
}
