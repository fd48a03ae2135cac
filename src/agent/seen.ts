import type { DiscoveredGuest } from '../drivers/port/inventory.ts';
import type { GuestInfo } from '../protocol/public/host.ts';
import type { ManagedHost } from '../protocol/public/managed-host.ts';

/** What one look saw. */
export interface Seen {
  readonly guests: readonly GuestInfo[];
  readonly hosts: readonly ManagedHost[];
}

export function seenIn({
  found,
  hosts,
}: {
  readonly found: readonly DiscoveredGuest[];
  readonly hosts: readonly ManagedHost[];
}): Seen {
  return { guests: found.map(({ info }) => info), hosts };
}
