import type { DiscoveredGuest } from '../drivers/port/inventory.ts';

/**
 * Two drivers may see one guest: its manager's, and that of the hypervisor in which the manager has it. Who can take hold of
 * it has it.
 */
export function withoutDuplicates(found: readonly DiscoveredGuest[]): DiscoveredGuest[] {
  const held = found.filter(({ handle }) => handle !== undefined).map(({ info }) => info);
  return found.filter(({ handle, info: { uuid, driver } }) => {
    if (handle !== undefined || uuid === undefined) return true;
    return !held.some((other) => other.uuid === uuid && other.driver !== driver);
  });
}
