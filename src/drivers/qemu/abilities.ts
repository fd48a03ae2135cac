import type { StreamSettings } from '../../protocol/peer/migration.ts';
import { isMultifdCompression } from './binaries.ts';
import * as answers from './qmp/answers.ts';
import type { QmpClient } from './qmp/client.ts';
import type { StreamAbilities } from './stream.ts';

/** What a running QEMU can do for a stream. Its schema is large, so it is read only where it matters. */
export async function readAbilities(
  client: QmpClient,
  stream: Omit<StreamSettings, 'tls'>,
  signal: AbortSignal,
): Promise<StreamAbilities> {
  const [capabilities, schema] = await Promise.all([
    client.query('query-migrate-capabilities', {}, answers.capabilityList, signal),
    stream.compress === 'zstd'
      ? client.query('query-qmp-schema', {}, answers.schemaEntries, signal)
      : [],
  ]);
  const compression = schema.find((entry) => isMultifdCompression(entry.values ?? []));
  return {
    version: client.version,
    capabilities: capabilities.map(({ capability }) => capability),
    multifdCompression: compression?.values ?? [],
  };
}
