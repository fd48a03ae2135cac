import type { StreamSettings } from '../../../protocol/peer/migration.ts';
import { lockableBytes, sendBufferBytes } from '../../../host/machine/locked-memory.ts';
import { hasRdma, isMultifdCompression } from './binaries.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { StreamAbilities } from '../stream.ts';

/** Stream abilities of a running QEMU. Its large schema is read only if it is needed. */
export async function readAbilities(
  client: QmpClient,
  pid: number,
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
    ...(await processAbilities(client, pid, stream, signal)),
  };
}

/** Measured size of a stream message before its buffer has room (512 KiB plus the kernel's overhead), doubled. */
const MESSAGE_BYTES = 2 * 1024 * 1024;

async function processAbilities(
  client: QmpClient,
  pid: number,
  { transport, streams }: Omit<StreamSettings, 'tls'>,
  signal: AbortSignal,
): Promise<Pick<StreamAbilities, 'rdma' | 'lockable'>> {
  if (transport === undefined) return {};
  const bytes = await lockableBytes(pid);
  if (transport === 'zero-copy') {
    const neededBytes = streams * ((await sendBufferBytes()) + MESSAGE_BYTES);
    return { lockable: { pid, bytes, neededBytes } };
  }
  const size = await client.query('query-memory-size-summary', {}, answers.memorySize, signal);
  const neededBytes = size['base-memory'] + (size['plugged-memory'] ?? 0);
  return { rdma: await hasRdma(`/proc/${pid}/exe`), lockable: { pid, bytes, neededBytes } };
}
