import type { ChosenStream } from './compression.ts';

/** `zstd 3`; without a level if none was requested. Separate from the schemas, because the dashboard uses it. Pure. */
export function compressionText({
  compress,
  compressLevel,
}: Pick<ChosenStream, 'compress' | 'compressLevel'>): string {
  return compressLevel === undefined ? compress : `${compress} ${compressLevel}`;
}
