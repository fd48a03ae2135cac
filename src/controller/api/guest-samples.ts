import type { Clock } from '../../clock.ts';
import { godwitError } from '../../errors.ts';
import type { controllerContract } from '../../protocol/controller/contract.ts';
import type { RouteAnswer } from '../../protocol/route.ts';
import type { Call } from '../../rpc/server.ts';
import { momentOf } from '../inventory/answers.ts';
import type { HostLook } from '../inventory/guest-looks.ts';
import { shardOf } from '../inventory/shards.ts';
import type { Store } from '../store/store.ts';
import { CostlyAnswers } from './costly.ts';

type Route = (typeof controllerContract)['guestSamples'];
type Span = Call<Route>['query']['span'];
type Body = Readonly<Record<string, HostLook | number>>;

const WRITTEN_AS = { look: 'look', hour: 'guests' } as const satisfies Record<Span, string>;
/** The load of a guest is in the rows of its hosts. */
const MAX_HOSTS = 8;
const MAX_POINTS = 2000;

/** Reads how many cores guests used. One answer is made at a time, because its rows have all guests of a shard. */
export class GuestSamplesReader {
  readonly #store: Pick<Store, 'db'>;
  readonly #answers: CostlyAnswers<RouteAnswer<Route>>;

  constructor(store: Pick<Store, 'db'>, clock: Clock) {
    this.#store = store;
    this.#answers = new CostlyAnswers('the load of guests', clock);
  }

  async read({ params, query, caller }: Call<Route>): Promise<RouteAnswer<Route>> {
    const { guest } = params;
    const key = `${query.span} ${guest}`;
    const who = `${caller.role} ${caller.name}`;
    return this.#answers.of(key, () => this.#look(guest, query.span), who);
  }

  async #look(guest: string, span: Span): Promise<RouteAnswer<Route>> {
    const hosts = await this.#hostsOf(guest);
    if (hosts.length === 0) throw godwitError('GODWIT_GUEST_UNKNOWN', { guest, host: 'any host' });
    const shards = [...new Set(hosts.map(shardOf))];
    const rows = await this.#store.db
      .selectFrom('rollups')
      .select(['at', 'body'])
      .where('span', '=', WRITTEN_AS[span])
      .where('shard', 'in', shards)
      .orderBy('at')
      .execute();
    const used = new Map<number, number>();
    for (const { at, body } of rows) {
      const cores = coresIn(JSON.parse(body) as Body, guest);
      if (cores !== undefined) used.set(at, Math.max(cores, used.get(at) ?? 0));
    }
    const points = [...used].map(([atMs, cores]) => ({ at: momentOf(atMs), cores }));
    return { points: points.slice(-MAX_POINTS) };
  }

  async #hostsOf(guest: string): Promise<readonly string[]> {
    const { db } = this.#store;
    const now = db.selectFrom('guests').select('host').where('name', '=', guest);
    const moves = db
      .selectFrom('migrations')
      .select(['source', 'destination'])
      .where('guest', '=', guest)
      .orderBy('started_at', 'desc');
    const homes = await now.limit(MAX_HOSTS).execute();
    const earlier = await moves.limit(MAX_HOSTS).execute();
    const all = [
      ...homes.map(({ host }) => host),
      ...earlier.flatMap(({ source, destination }) => [source, destination]),
    ];
    return [...new Set(all)].slice(0, MAX_HOSTS);
  }
}

function coresIn(body: Body, guest: string): number | undefined {
  const found: number[] = [];
  for (const [name, value] of Object.entries(body)) {
    if (typeof value !== 'number') {
      const cores = Object.hasOwn(value.guests, guest) ? value.guests[guest] : undefined;
      if (cores !== undefined) found.push(cores);
    } else if (name === guest) found.push(value);
  }
  return found.length === 0 ? undefined : Math.max(...found);
}
