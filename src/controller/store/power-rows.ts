import { WAKE_MS, type HostPower, type PowerNow } from '../power/shown.ts';
import type { PowerState } from '../requests/facts.ts';
import type { Store } from './store.ts';

export async function powerOf(
  db: Pick<Store['db'], 'selectFrom'>,
): Promise<Map<string, HostPower>> {
  return byHost(await db.selectFrom('host_power').selectAll().execute());
}

/** `settings`: absent if power management is off. */
export async function powerNow(
  { db, nowMs }: Pick<Store, 'db' | 'nowMs'>,
  settings: { readonly wakeMs: number } | undefined,
): Promise<PowerNow> {
  const rows = await db.selectFrom('host_power').selectAll().select(nowMs.as('now')).execute();
  const { wakeMs } = settings ?? { wakeMs: WAKE_MS };
  return { power: byHost(rows), nowMs: rows[0]?.now ?? 0, wakeMs };
}

function byHost(
  rows: readonly { readonly host: string; readonly state: string; readonly since: number }[],
): Map<string, HostPower> {
  return new Map(
    rows.map(({ host, state, since }) => [host, { state: state as PowerState, sinceMs: since }]),
  );
}
