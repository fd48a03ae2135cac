import type { StreamSettings } from '../../../../protocol/peer/migration.ts';
import { streamModeOf, type MigrationSettings } from '../../../../protocol/public/migration.ts';

export function streamAsked({
  mode,
  streams,
  compress,
  compressLevel,
  transport = 'tcp',
}: Pick<MigrationSettings, 'mode' | 'streams' | 'compress' | 'compressLevel' | 'transport'>): Omit<
  StreamSettings,
  'tls'
> {
  const other = transport === 'tcp' ? {} : { transport };
  const level = compressLevel === undefined ? {} : { compressLevel };
  return { mode: streamModeOf(mode), streams, compress, ...level, ...other };
}
