import type { TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../src/clock.ts';
import { History } from '../../../src/controller/history/history.ts';
import { shardOf } from '../../../src/controller/inventory/shards.ts';
import { openStore } from '../../../src/controller/store/open.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { godwitError } from '../../../src/errors.ts';
import { silentLog } from '../../../src/log.ts';
import type { agentContract } from '../../../src/protocol/contract.ts';
import type { FleetNews } from '../../../src/protocol/controller/events.ts';
import type { MigrationSummary } from '../../../src/protocol/public/migration.ts';
import type { Api } from '../../../src/rpc/client.ts';

type Agent = Pick<Api<typeof agentContract>, 'migrations'>;

export const summary = (nth: number, more: Partial<MigrationSummary> = {}): MigrationSummary => ({
  id: `m-${String(nth).padStart(8, '0')}`,
  guest: 'web1',
  from: 'a',
  to: 'b',
  mode: 'precopy',
  phase: 'done',
  elapsedMs: 1000,
  percent: 100,
  side: 'source',
  startedAt: new Date(Date.now() - 1_000_000 + nth * 1000).toISOString(),
  moverAlive: false,
  ...more,
});

/** An agent that lists these, the newest first; `before` is called with the number of each page. */
export function listing(
  all: readonly MigrationSummary[],
  before: (page: number) => Promise<void> | void = () => {},
): Agent {
  return {
    migrations: async ({ query = {} } = {}) => {
      const from = Number(query.cursor ?? 0);
      await before(from === 0 ? 0 : 1);
      const to = from + Number(query.limit ?? 20);
      const more = to < all.length ? { next: String(to) } : {};
      return { migrations: all.slice(from, to), ...more };
    },
  };
}

export const noReport = () =>
  godwitError('GODWIT_JOURNAL_DAMAGED', { file: 'journal', line: 1, saw: 'nothing' });

/** Time passes as fast as the test can go. */
function swiftClock(): Clock {
  let nowMs = 0;
  return {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms, signal) => {
      await setImmediate();
      signal?.throwIfAborted();
      nowMs += ms;
    },
  };
}

export interface HistoryFixture {
  readonly history: History;
  readonly store: Store;
  readonly news: FleetNews[];
  readonly ids: () => Promise<string[]>;
}

/** A history of hosts whose agents have no reports. */
export async function historyOf(
  t: TestContext,
  agents: Readonly<Record<string, Partial<Api<typeof agentContract>>>>,
): Promise<HistoryFixture> {
  const store = await openStore({ sqlite: ':memory:' }, silentLog);
  const held = new Map<number, number>();
  for (const shard of new Set(Object.keys(agents).map((host) => shardOf(host)))) {
    const lease = { shard, owner: 'one', epoch: 1, lease_until: Date.now() + 600_000 };
    await store.db.insertInto('host_leases').values(lease).execute();
    held.set(shard, 1);
  }
  const report = () => Promise.reject(noReport());
  const news: FleetNews[] = [];
  const history = new History({
    store,
    clock: swiftClock(),
    log: silentLog,
    policy: { days: 365, most: 1_000_000 },
    agentAt: (host) =>
      agents[host] && ({ report, ...agents[host] } as unknown as Api<typeof agentContract>),
    held: () => held,
    publish: (each) => news.push(each),
  });
  t.after(async () => {
    await history.close();
    await store.close();
  });
  const ids = async () => {
    const rows = await store.db.selectFrom('migrations').select('id').orderBy('id').execute();
    return rows.map(({ id }) => id);
  };
  return { history, store, news, ids };
}
