import type { MigrationSettings, Report } from '../../protocol/public/migration.ts';
import { CAP_STEP, type MemoryPath } from './parameters.ts';

const MIN = 1024;

export function shareOfLink(share: number, linkBytesPerS: number): number {
  return Math.max(MIN, Math.floor(share * linkBytesPerS));
}

export function withShare<S extends Pick<MigrationSettings, 'maxBandwidth'>>(
  settings: S,
  shareBytesPerS: number | undefined,
): S {
  if (shareBytesPerS === undefined) return settings;
  return { ...settings, maxBandwidth: Math.min(settings.maxBandwidth ?? Infinity, shareBytesPerS) };
}

/** True if a migration was capped, so that its rate does not show the link's. */
export function wasCapped({ settings, timedCap }: Pick<Report, 'settings' | 'timedCap'>): boolean {
  return settings.maxBandwidth !== undefined || timedCap !== undefined;
}

/**
 * Settings with the cap as the sender actually keeps it. `rounds`: the driver's way of making rounds; a driver with
 * its own keeps every cap.
 */
export function asKept<S extends Pick<MigrationSettings, 'maxBandwidth'>>(
  settings: S,
  {
    memoryPath,
    rounds,
  }: { readonly memoryPath: MemoryPath; readonly rounds?: 'content' | undefined },
): S {
  const { maxBandwidth } = settings;
  const isOneStream = memoryPath === 'plain' || memoryPath === 'xbzrle';
  if (maxBandwidth === undefined || !isOneStream || rounds !== undefined) return settings;
  return { ...settings, maxBandwidth: Math.ceil(maxBandwidth / CAP_STEP) * CAP_STEP };
}
