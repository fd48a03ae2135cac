import type { StreamSettings } from '../../../protocol/peer/migration.ts';
import { streamModeOf } from '../../../protocol/public/migration.ts';
import type { MigrationSettings } from '../../../protocol/public/migration.ts';

/** The stream that was asked for. */
export function streamAsked({
  mode,
  streams,
  compress,
  transport = 'tcp',
}: Pick<MigrationSettings, 'mode' | 'streams' | 'compress' | 'transport'>): Omit<
  StreamSettings,
  'tls'
> {
  const other = transport === 'tcp' ? {} : { transport };
  return { mode: streamModeOf(mode), streams, compress, ...other };
}
