import type { WorkloadFacts } from '../migration/preflight/workload.ts';
import { readLabels } from '../protocol/label-rules.ts';
import type { Labels } from '../protocol/label-rules.ts';
import type { MigrationRequest } from '../protocol/public/migration.ts';
import type { HostLabels } from './guest-labels.ts';
import type { GuestLoads } from './guest-loads.ts';
import type { LinkRates } from './link-rate.ts';

/** What this host keeps of its guests. */
export interface KnownOfGuests {
  /** What people said of guests; absent: nobody did. */
  readonly labels?: Pick<HostLabels, 'of'>;
  /** How busy guests have been; absent: nobody looks. */
  readonly guestLoads?: Pick<GuestLoads, 'of'>;
}

/** Undefined where there are none, or none that make sense. */
export function labelsOf({ labels }: KnownOfGuests, guest: string): Labels | undefined {
  const given = labels?.of(guest);
  const read = given === undefined ? undefined : readLabels(given);
  return read === undefined || 'words' in read ? undefined : read;
}

interface Known extends KnownOfGuests {
  readonly links: Pick<LinkRates, 'now'>;
}

export function workloadOf(
  known: Known,
  { guest, to }: Pick<MigrationRequest, 'guest' | 'to'>,
): Omit<WorkloadFacts, 'settings'> {
  const { now: load, hours = [] } = known.guestLoads?.of(guest) ?? {};
  // Not what it did long ago: in this hour, or in the one before.
  const { dirtyBytesPerS } = hours.slice(-2).findLast((hour) => hour.dirtyBytesPerS) ?? {};
  // Reports are read for it: not where nobody knows what the guest does.
  const link = load && known.links.now(to);
  // A link that carries at least so much may carry what the guest sends beside.
  const linkRate = link?.isLeast === true ? undefined : link?.rate;
  const { maxDowntimeMs: ownersDowntimeMs, realtime } = labelsOf(known, guest) ?? {};
  const written = load && dirtyBytesPerS;
  return { load, dirtyBytesPerS: written, ownersDowntimeMs, isRealtime: realtime, linkRate };
}
