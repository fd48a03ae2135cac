import type { PowerState } from '../wishes/facts.ts';
import type { Db } from './wish-rows.ts';

/** A host that is not simply on. */
export interface HostPower {
  readonly state: PowerState;
  readonly sinceMs: number;
}

/** By host. */
export async function powerOf(db: Pick<Db, 'selectFrom'>): Promise<Map<string, HostPower>> {
  const rows = await db.selectFrom('host_power').selectAll().execute();
  return new Map(
    rows.map(({ host, state, since }) => [host, { state: state as PowerState, sinceMs: since }]),
  );
}
