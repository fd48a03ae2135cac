import type { MigrationSettings, Report } from '../../protocol/public/migration.ts';
import { CAP_STEP, type MemoryPath } from './parameters.ts';

/** The least cap that a migration takes, bytes/s. */
const MIN = 1024;

/** What a share of a link comes to, bytes/s. `linkBytesPerS`: what the link carries. */
export function shareOfLink(share: number, linkBytesPerS: number): number {
  return Math.max(MIN, Math.floor(share * linkBytesPerS));
}

/** The settings as they are carried out: the lower one of the cap that was asked for and the share of the link. */
export function withShare<S extends Pick<MigrationSettings, 'maxBandwidth'>>(
  settings: S,
  shareBytesPerS: number | undefined,
): S {
  if (shareBytesPerS === undefined) return settings;
  return { ...settings, maxBandwidth: Math.min(settings.maxBandwidth ?? Infinity, shareBytesPerS) };
}

/** Whether a migration was held below its link, by its request or by the time of day: its rate says nothing of the link. */
export function wasCapped({ settings, timedCap }: Pick<Report, 'settings' | 'timedCap'>): boolean {
  return settings.maxBandwidth !== undefined || timedCap !== undefined;
}

/** The settings with the cap as whoever sends keeps to it. `rounds`: a driver's own, which keeps to each cap. */
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
