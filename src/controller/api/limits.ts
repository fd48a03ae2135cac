import { godwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { limitRoutes } from '../../protocol/controller/limits.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { Handlers } from '../../rpc/server.ts';
import { changeLimits, readLimits } from '../store/limits.ts';
import type { Store } from '../store/store.ts';

export interface LimitHandlerDependencies {
  readonly store: Store;
  readonly log: Log;
}

export function limitHandlers({
  store,
  log,
}: LimitHandlerDependencies): Handlers<typeof limitRoutes> {
  return {
    limits: () => readLimits(store),
    setLimits: async ({ body, caller }) => {
      const named = [
        ...body.hosts.map(({ host }) => host),
        ...body.links.flatMap(({ from, to }) => [from, to]),
      ];
      if (named.length > 0) await checkHosts(store, named);
      await changeLimits(store, body);
      log.info({ change: body, by: caller.name }, 'limits changed');
      return readLimits(store);
    },
  };
}

async function checkHosts({ db }: Store, named: readonly string[]): Promise<void> {
  const rows = await db.selectFrom('hosts').select('name').execute();
  const known = new Set(rows.map(({ name }) => name));
  const strange = named.find((host) => !known.has(host));
  if (strange === undefined) return;
  const near = didYouMean(strange, known);
  const hint = near === undefined ? {} : { hint: near };
  throw godwitError('GODWIT_HOST_UNKNOWN', { host: strange }, hint);
}
