import type { MemorySample, MigrationSettings } from '../../protocol/public/migration.ts';
import type { GuestDescription } from '../../protocol/peer/migration.ts';

export type Decision =
  | { readonly what: 'continue' }
  | { readonly what: 'postcopy'; readonly why: string };

/** What a report calls the decisions that are journaled. */
export const DECISION_WORDS = {
  postcopy: 'post-copy',
  'slow-writes': 'the guest’s writes wait for their copies',
} as const;

/**
 * Whether the hypervisor is to stop at the switch until it is told to go on. Post-copy and hybrid need it: which of
 * the two ways the guest leaves is settled there. With disks it is the last moment at which the source still holds
 * them, whatever the mode. Pre-copy of memory alone has nothing to do then, and the guest would only stand still for
 * longer.
 */
export function holdsSwitchover(
  { mode }: Pick<MigrationSettings, 'mode'>,
  guest?: Pick<GuestDescription, 'disks'>,
): boolean {
  return mode !== 'precopy' || (guest?.disks ?? []).length > 0;
}

/** Of the wire: that much, and the far hypervisor's work on it, is under way when the guest stops (`wire/relay/in-flight`), ms. */
const UNDER_WAY_MS = 20;

/**
 * Of the downtime that was asked for at most, what the hypervisor may plan for, ms. It reckons with what it has yet to
 * hand over; by the wire, what it handed over last is under way still, so it gets less.
 */
export function plannedDowntimeMs(maxDowntimeMs: number, byWire: boolean): number {
  return byWire ? Math.max(maxDowntimeMs / 2, maxDowntimeMs - UNDER_WAY_MS) : maxDowntimeMs;
}

/**
 * Below this share of the link, dirtying still shrinks what remains by each round; above it, another round
 * buys next to nothing.
 */
const CONVERGING_SHARE = 0.9;

/**
 * What to do next, from the latest look at the stream and the policy. Pre-copy is left to the hypervisor's own
 * end condition; post-copy begins at once; hybrid gives pre-copy its rounds and stops waiting when they do not help.
 */
export function steer(
  settings: Pick<MigrationSettings, 'mode' | 'hybridRounds' | 'maxDowntimeMs'>,
  sample: MemorySample,
): Decision {
  switch (settings.mode) {
    case 'precopy':
      return { what: 'continue' };
    case 'postcopy':
      return sample.totalBytes > 0
        ? { what: 'postcopy', why: 'post-copy was asked for' }
        : { what: 'continue' };
    case 'hybrid':
      return steerHybrid(settings, sample);
  }
}

function steerHybrid(
  settings: Pick<MigrationSettings, 'hybridRounds' | 'maxDowntimeMs'>,
  sample: MemorySample,
): Decision {
  const { round, rate, dirtyRate, expectedDowntimeMs = 0 } = sample;
  if (round > settings.hybridRounds) {
    return { what: 'postcopy', why: `${settings.hybridRounds} rounds of pre-copy are over` };
  }
  const stuck = rate > 0 && dirtyRate >= rate * CONVERGING_SHARE;
  if (round >= 2 && stuck && expectedDowntimeMs > settings.maxDowntimeMs) {
    const why = `round ${round}: the guest dirties ${dirtyRate} bytes/s, the link takes ${rate} bytes/s`;
    return { what: 'postcopy', why };
  }
  return { what: 'continue' };
}
