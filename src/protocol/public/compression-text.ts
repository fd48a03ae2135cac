import type { ChosenStream } from './compression.ts';

/** `zstd 3`; without a level where none was asked for. Apart from the schemas: the dashboard has it too. Pure. */
export function compressionText({
  compress,
  compressLevel,
}: Pick<ChosenStream, 'compress' | 'compressLevel'>): string {
  return compressLevel === undefined ? compress : `${compress} ${compressLevel}`;
}
