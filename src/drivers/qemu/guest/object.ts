import type { QmpClient } from '../qmp/client.ts';
import type { LiveObject } from '../spec/facts.ts';
import { getScalar } from './qom.ts';

interface Child {
  readonly path: string;
  readonly name: string;
  readonly type: string;
}

export async function readObject(
  client: QmpClient,
  child: Child,
  signal: AbortSignal,
): Promise<LiveObject> {
  const [size, share] = await Promise.all(
    ['size', 'share'].map((property) => getScalar(client, child.path, property, signal)),
  );
  return {
    id: child.name,
    type: child.type,
    bytes: typeof size === 'number' ? size : undefined,
    shared: share === true,
  };
}
