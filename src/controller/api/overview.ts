import { createHash } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { hostState } from '../../protocol/controller/fleet.ts';
import {
  overview,
  type OverviewGuest,
  type OverviewHost,
} from '../../protocol/controller/overview.ts';
import { guestInfo } from '../../protocol/public/hosts/host.ts';
import type { HostLoad } from '../../protocol/public/hosts/load.ts';
import { Ready } from '../../rpc/ready-answer.ts';
import { momentOf } from '../inventory/answers.ts';
import { mergeRows } from '../inventory/claims.ts';
import { isOfLease } from '../inventory/leases.ts';
import { withPower } from '../power/shown.ts';
import { powerNow } from '../store/power-rows.ts';
import type { GuestRow } from '../store/tables.ts';
import { CostlyAnswers } from './costly.ts';
import type { ReadHandlerDependencies } from './reads.ts';

/** One overview for all callers, because reading the whole fleet for each would block the controller. */
export class OverviewReader {
  readonly #deps: ReadHandlerDependencies;
  readonly #clock: Clock;
  readonly #answers: CostlyAnswers<Ready>;
  #newest: { readonly ready: Ready; readonly mark: string } | undefined;

  constructor(deps: ReadHandlerDependencies, clock: Clock) {
    this.#deps = deps;
    this.#clock = clock;
    this.#answers = new CostlyAnswers('the overview', clock);
  }

  async read(): Promise<Ready> {
    return this.#answers.of('', () => this.#look());
  }

  async #look(): Promise<Ready> {
    // Read first: events published during the look may be missing in it.
    const after = this.#deps.inventory.writtenTo;
    const fleet = await readFleet(this.#deps);
    const mark = createHash('sha256').update(JSON.stringify(fleet)).digest('base64');
    // An unchanged overview keeps its time and its ETag.
    if (this.#newest?.mark !== mark) {
      const ready = new Ready(
        overview.parse({ at: momentOf(this.#clock.wallMs()), after, ...fleet }),
      );
      this.#newest = { ready, mark };
    }
    return this.#newest.ready;
  }
}

async function readFleet(deps: ReadHandlerDependencies): Promise<{
  hosts: OverviewHost[];
  guests: OverviewGuest[];
}> {
  const { db, nowMs } = deps.store;
  const leases = await db
    .selectFrom('host_leases')
    .select(['shard', 'epoch', 'lease_until as untilMs', nowMs.as('now')])
    .execute();
  const followed = new Map(leases.map((lease) => [lease.shard, lease]));
  const power = await powerNow(deps.store, deps.config.power);
  const rows = await db
    .selectFrom('hosts')
    .leftJoin('host_marks', 'host_marks.host', 'hosts.name')
    .select([
      'name',
      'shard',
      'epoch',
      'state',
      'cores',
      'memory_bytes',
      'memory_available_bytes',
      'guests',
    ])
    .select('draining_for')
    .orderBy('name')
    .execute();
  const hosts = rows.map((row): OverviewHost => {
    const lease = followed.get(row.shard);
    const isKnown = isOfLease(row, lease, lease?.now ?? 0);
    const seen = { state: isKnown ? row.state : 'unfollowed', since: 0, reason: null };
    const state = hostState.parse(withPower(row.name, seen, power).state);
    const load = state === 'up' ? deps.inventory.samplesOf(row.name)?.newest : undefined;
    const draining = row.draining_for === null ? 0 : 1;
    const { cores, memory_bytes: memory, memory_available_bytes: available, guests } = row;
    const [used, pressure] = [shareOf(load?.processor.used), pressureOf(load)];
    return [row.name, state, cores, memory, available, used, pressure, draining, guests];
  });
  const places = new Map(hosts.map(([name], at) => [name, at]));
  const now = await db.selectNoFrom(nowMs.as('now')).executeTakeFirstOrThrow();
  const guests = await mergedGuests(deps.store, now.now);
  return {
    hosts,
    // The two lists were read at different moments, so guests of a removed host are dropped.
    guests: guests.flatMap(
      ({ name, host, memory_bytes: memory, state, report }): OverviewGuest[] => {
        const at = places.get(host);
        if (at === undefined) return [];
        const guest = [name, at, memory, guestInfo.shape.state.parse(state)] as const;
        return [report === undefined ? [...guest] : [...guest, report]];
      },
    ),
  };
}

const IN_MOTION: ReadonlySet<string> = new Set(['migrating', 'incoming', 'unknown']);
const AT_ONCE = 500;

type OverviewRow = Pick<GuestRow, 'name' | 'host' | 'memory_bytes' | 'state'>;

/** The long full reports are read only for guests that move or have several reports. */
async function mergedGuests(
  { db }: ReadHandlerDependencies['store'],
  nowMs: number,
): Promise<(OverviewRow & { readonly report?: OverviewGuest[4] })[]> {
  const columns = ['name', 'host', 'memory_bytes', 'state'] as const;
  const rows = await db
    .selectFrom('guests')
    .select(columns)
    .orderBy('name')
    .orderBy('host')
    .execute();
  const names = rows.filter(
    ({ name, state }, at) =>
      IN_MOTION.has(state) || name === rows[at - 1]?.name || name === rows[at + 1]?.name,
  );
  const looked = new Set(names.map(({ name }) => name));
  const whole: GuestRow[] = [];
  for (const some of inParts([...looked])) {
    const query = db.selectFrom('guests').selectAll().where('name', 'in', some);
    whole.push(...(await query.orderBy('name').orderBy('host').execute()));
  }
  const merged = mergeRows(whole, nowMs).map(({ row }) => {
    const { uuid, epoch, migration, moving } = guestInfo.parse(JSON.parse(row.info));
    return { ...row, report: { uuid, epoch, migration, moving } };
  });
  const byName = Map.groupBy(merged, ({ name }) => name);
  return rows.flatMap((row, at) => {
    if (!looked.has(row.name)) return [row];
    return rows[at - 1]?.name === row.name ? [] : (byName.get(row.name) ?? []);
  });
}

function* inParts(names: readonly string[]): Generator<string[]> {
  for (let at = 0; at < names.length; at += AT_ONCE) yield names.slice(at, at + AT_ONCE);
}

function shareOf(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(Math.min(1, Math.max(0, value)) * 100) / 100;
}

function pressureOf(load: HostLoad | undefined): number | null {
  if (load?.pressure === undefined) return null;
  const { processor = 0, memorySome = 0, ioSome = 0 } = load.pressure;
  return shareOf(Math.max(processor, memorySome, ioSome));
}
