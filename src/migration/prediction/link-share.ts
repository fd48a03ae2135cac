import type { MigrationSettings } from '../../protocol/public/migration.ts';

/** The least cap that a migration takes, bytes/s. */
const LEAST = 1024;

/** What a share of a link comes to, bytes/s. `linkBytesPerS`: what the link carries. */
export function shareOfLink(share: number, linkBytesPerS: number): number {
  return Math.max(LEAST, Math.floor(share * linkBytesPerS));
}

/** The settings as they are carried out: the lower one of the cap that was asked for and the share of the link. */
export function withShare<S extends Pick<MigrationSettings, 'maxBandwidth'>>(
  settings: S,
  shareBytesPerS: number | undefined,
): S {
  if (shareBytesPerS === undefined) return settings;
  return { ...settings, maxBandwidth: Math.min(settings.maxBandwidth ?? Infinity, shareBytesPerS) };
}
