import * as answers from '../qmp/answers.ts';
import type { QmpClient } from '../qmp/client.ts';
import { getScalar } from '../guest/qom.ts';
import type { GuestFacts } from '../spec/facts.ts';
import { liveOf, withoutDevices, type PlugFacts, type Unplugging } from '../spec/unplug.ts';

export async function lookWithout(
  client: QmpClient,
  facts: GuestFacts,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Unplugging> {
  if (ids.length === 0) return { facts, unplugged: [], findings: [] };
  return withoutDevices(facts, ids, await readPlugFacts(client, facts, ids, signal));
}

async function readPlugFacts(
  client: QmpClient,
  facts: GuestFacts,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, PlugFacts>> {
  const found = ids.flatMap((id) => {
    const live = liveOf(facts, id);
    return live === undefined ? [] : [{ id, live }];
  });
  const read = found.map(async ({ id, live }): Promise<[string, PlugFacts]> => {
    const [canUnplug, types] = await Promise.all([
      getScalar(client, live.path, 'hotpluggable', signal),
      typesOf(client, live.type, signal),
    ]);
    return [id, { canUnplug: canUnplug === true, types }];
  });
  return new Map(await Promise.all(read));
}

async function typesOf(
  client: Pick<QmpClient, 'query'>,
  typename: string,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  const args = { typename };
  const all = await client.query('device-list-properties', args, answers.deviceProperties, signal);
  return new Map(all.map(({ name, type }) => [name, type]));
}
