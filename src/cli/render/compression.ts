import type { MigrationSettings } from '../../protocol/public/migration.ts';

/** `zstd 3`; without a level where none was asked for. Pure. */
export function compressionText({
  compress,
  compressLevel,
}: Pick<MigrationSettings, 'compress' | 'compressLevel'>): string {
  return compressLevel === undefined ? compress : `${compress} ${compressLevel}`;
}
