import { sql } from 'kysely';
import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { Log } from '../../log.ts';
import type { FleetNews } from '../../protocol/controller/events.ts';
import type { FleetRequest } from '../../protocol/controller/fleet-request.ts';
import type { Store } from '../store/store.ts';
import { readRequest } from '../store/request-rows.ts';

const LOOK_MS = 1000;
/** Ends of requests are reported even after the database was away for this time. */
const ENDED_MS = 10 * 60_000;
const AT_ONCE = 200;
/** Entries of each list in an event: every client gets it, and a request may name thousands. */
const MAX_PER_LIST = 100;

export interface RequestWatchDependencies {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  readonly publish: (news: FleetNews) => void;
}

/** Polls the shared database, which has other controllers' changes. */
export class RequestWatch {
  readonly #deps: RequestWatchDependencies;
  readonly #stop = new AbortController();
  #known: ReadonlyMap<string, string> | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(deps: RequestWatchDependencies) {
    this.#deps = deps;
  }

  start(): void {
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async look(): Promise<void> {
    const { db, nowMs } = this.#deps.store;
    const rows = await db
      .selectFrom('requests')
      .select(['id', 'version', 'cancel_asked', 'state'])
      .where((eb) =>
        eb.or([
          eb('ended_at', 'is', null),
          eb('ended_at', '>', sql<number>`${nowMs} - ${sql.lit(ENDED_MS)}`),
        ]),
      )
      .execute();
    const marks = new Map(
      rows.map((row) => [row.id, `${row.version} ${row.cancel_asked} ${row.state}`]),
    );
    const before = this.#known;
    const changed =
      before === undefined
        ? []
        : [...marks.keys()].filter((id) => before.get(id) !== marks.get(id));
    for (let at = 0; at < changed.length; at += AT_ONCE)
      await this.#publish(changed.slice(at, at + AT_ONCE));
    this.#known = marks;
  }

  async #publish(ids: readonly string[]): Promise<void> {
    const { store, publish } = this.#deps;
    const query = store.db.selectFrom('requests').select('body').where('id', 'in', ids);
    for (const { body } of await query.execute())
      publish({ type: 'request', request: shortened(readRequest(body)) });
  }

  async #run(): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = this.#stop;
    let failed = '';
    while (!signal.aborted) {
      try {
        await this.look();
        failed = '';
      } catch (thrown) {
        const error = toGodwitError(thrown);
        if (error.message !== failed)
          log.warn({ error }, 'changes of requests are not reported now');
        failed = error.message;
      }
      await clock.sleep(LOOK_MS, signal).catch(() => {});
    }
  }
}

function shortened(request: FleetRequest): FleetRequest {
  const { order, queue, stays, tries, refused, ask } = request;
  const some = <T>(all: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(all).slice(0, MAX_PER_LIST));
  return {
    ...request,
    ask: { ...ask, hosts: ask.hosts.slice(0, MAX_PER_LIST) },
    order: order.slice(0, MAX_PER_LIST),
    queue: queue.slice(0, MAX_PER_LIST),
    stays: stays.slice(0, MAX_PER_LIST),
    tries: some(tries),
    refused: some(refused),
  };
}
