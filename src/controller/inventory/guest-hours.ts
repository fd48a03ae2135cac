import { sql } from 'kysely';
import { usualOf } from '../../planner/forecast/usual.ts';
import type { Store } from '../store/store.ts';
import { LOOK_MS, LOOKS_KEPT_MS, type HostLook } from './guest-looks.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAYS = 7;
export const GUEST_HOURS_KEPT_MS = DAYS * DAY_MS + 2 * HOUR_MS;
/** Looks of an hour may be written this much later, ms. */
const LATE_MS = 2 * LOOK_MS;

type Database = Pick<Store, 'db' | 'nowMs'>;

/** One row per shard and hour; the first writer's row stays. */
export async function writeGuestHours(store: Database & Pick<Store, 'transaction'>): Promise<void> {
  const { db } = store;
  const nowMs = await timeOf(store);
  const last = hourOf(nowMs - LATE_MS) - HOUR_MS;
  for (let hour = hourOf(nowMs - LOOKS_KEPT_MS) + HOUR_MS; hour <= last; hour += HOUR_MS) {
    const looks = db.selectFrom('rollups').where('span', '=', 'look');
    const within = looks.where('at', '>=', hour).where('at', '<', hour + HOUR_MS);
    const written = db.selectFrom('rollups').where('span', '=', 'guests').where('at', '=', hour);
    const done = new Set((await written.select('shard').execute()).map(({ shard }) => shard));
    const shards = await within.select('shard').distinct().execute();
    for (const { shard } of shards.filter((each) => !done.has(each.shard))) {
      const rows = await within.select('body').where('shard', '=', shard).execute();
      const means = hourMeans(rows.map(({ body }) => JSON.parse(body) as Body));
      const row = { shard, span: 'guests', at: hour, body: JSON.stringify(means) };
      await store.transaction((during) =>
        during
          .insertInto('rollups')
          .values(row)
          .onConflict((conflict) => conflict.columns(['shard', 'span', 'at']).doNothing())
          .execute(),
      );
    }
  }
}

type Body = Readonly<Record<string, HostLook>>;

/** Mean cores per guest over the looks that report it. Of two hosts in one look, the larger counts. */
export function hourMeans(looks: readonly Body[]): Record<string, number> {
  const sums = new Map<string, { sum: number; count: number }>();
  for (const hosts of looks) {
    const used = new Map<string, number>();
    for (const { guests } of Object.values(hosts)) {
      for (const [guest, cores] of Object.entries(guests))
        used.set(guest, Math.max(used.get(guest) ?? 0, cores));
    }
    for (const [guest, cores] of used) {
      const { sum, count } = sums.get(guest) ?? { sum: 0, count: 0 };
      sums.set(guest, { sum: sum + cores, count: count + 1 });
    }
  }
  return Object.fromEntries(
    [...sums].map(([guest, { sum, count }]) => [guest, short(sum / count)]),
  );
}

/** Expected cores per guest in the next hour, by that hour of the last seven days. */
export async function usualNextHour(store: Database): Promise<ReadonlyMap<string, number>> {
  const next = hourOf(await timeOf(store)) + HOUR_MS;
  const hours = Array.from({ length: DAYS }, (_none, day) => next - (day + 1) * DAY_MS);
  const rows = await store.db
    .selectFrom('rollups')
    .select(['at', 'body'])
    .where('span', '=', 'guests')
    .where('at', 'in', hours)
    .execute();
  const days = new Map<number, Map<string, number>>();
  for (const { at, body } of rows) {
    const day = days.get(at) ?? new Map<string, number>();
    days.set(at, day);
    for (const [guest, cores] of Object.entries(JSON.parse(body) as Record<string, number>))
      day.set(guest, Math.max(day.get(guest) ?? 0, cores));
  }
  return usualOf([...days.values()]);
}

async function timeOf({ db, nowMs }: Database): Promise<number> {
  const { now } = await db.selectNoFrom(sql<number>`${nowMs}`.as('now')).executeTakeFirstOrThrow();
  return Number(now);
}

const hourOf = (atMs: number): number => Math.floor(atMs / HOUR_MS) * HOUR_MS;
const short = (cores: number): number => Math.round(cores * 100) / 100;
