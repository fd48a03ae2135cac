import type { DiscoveredGuest } from '../drivers/port/inventory.ts';
import type { GuestInfo } from '../protocol/public/host.ts';
import type { ManagedHost } from '../protocol/public/managed-host.ts';

/** What one look saw. */
export interface GuestSnapshot {
  readonly guests: readonly GuestInfo[];
  readonly hosts: readonly ManagedHost[];
}

export function snapshotOf({
  found,
  hosts,
}: {
  readonly found: readonly DiscoveredGuest[];
  readonly hosts: readonly ManagedHost[];
}): GuestSnapshot {
  return { guests: found.map(({ info }) => info), hosts };
}
