import { stat } from 'node:fs/promises';
import path from 'node:path';
import { defined } from '../../../protocol/defined.ts';
import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { HostFile, HostMemory } from '../spec/facts.ts';
import { parsePageSizes } from '../spec/monitor-text.ts';
import { getScalar } from './qom.ts';

interface Backend {
  readonly path: string;
  readonly name: string;
  readonly type: string;
}

/** Host settings of each memory backend, by id. `ramBlocks`: output of `info ramblock`. */
export async function readHostMemory(
  client: QmpClient,
  objects: readonly Backend[],
  ramBlocks: string,
  cwd: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, HostMemory>> {
  const backends = objects.filter(({ type }) => type.startsWith('memory-backend-'));
  if (backends.length === 0) return new Map();
  const bound = await client.query('query-memdev', {}, answers.memoryBackends, signal);
  const pages = parsePageSizes(ramBlocks);
  const found = backends.map(async (backend): Promise<[string, HostMemory]> => {
    const binding = bound.find(({ id }) => id === backend.name);
    const pageBytes = pages.get(backend.name) ?? pages.get(backend.path);
    const file = await readFile(client, backend, cwd, signal);
    return [
      backend.name,
      {
        ...defined({ pageBytes }),
        ...(binding === undefined ? {} : { policy: binding.policy, nodes: binding['host-nodes'] }),
        ...defined({ file }),
      },
    ];
  });
  return new Map(await Promise.all(found));
}

async function readFile(
  client: QmpClient,
  { path: place, type }: Backend,
  cwd: string,
  signal: AbortSignal,
): Promise<HostFile | undefined> {
  if (type !== 'memory-backend-file') return undefined;
  const [given, pmem, readOnly] = await Promise.all(
    ['mem-path', 'pmem', 'readonly'].map((name) => getScalar(client, place, name, signal)),
  );
  const file = path.resolve(cwd, String(given ?? ''));
  const info = await stat(file).catch(() => undefined);
  return {
    path: file,
    isNamed: info?.isDirectory() !== true,
    lasts: pmem === true || readOnly === true,
  };
}
