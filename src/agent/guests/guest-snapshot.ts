import type { DiscoveredGuest } from '../../port/inventory.ts';
import type { Silent } from './driver-guests.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import type { ManagedHost } from '../../protocol/public/hosts/managed-host.ts';

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

/** Names of this host's guests; undefined if a driver has listed none yet, so that some may be missing. */
export function namesIn({
  found,
  silent,
}: {
  readonly found: readonly DiscoveredGuest[];
  readonly silent: readonly Silent[];
}): ReadonlySet<string> | undefined {
  if (silent.some(({ asOfMs }) => asOfMs === undefined)) return undefined;
  return new Set(found.map(({ info }) => info.name));
}
