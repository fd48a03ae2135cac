import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { SyncedLines } from '../../system/files/synced-lines.ts';
import { Mutex } from '../../mutex.ts';
import { order as orderShape, orderOf, type Order } from '../../protocol/public/order.ts';
import type { Caller } from '../../rpc/caller.ts';

/** Requests whose epochs are kept; the least recently used go first. About 40 bytes each on disk. */
const MAX = 16_384;
/** In stateDir: a line for each, the oldest first. */
const FILE = 'orders';

/**
 * The highest epoch that a controller has named for each request. A controller that stalled while another one took its
 * request up has a lower one: its order is refused, whatever it believes. What was seen lies on the disk before it counts.
 */
export class Orders {
  readonly #file: SyncedLines;
  readonly #most: number;
  /** By request, the one heard of longest ago first. */
  readonly #seen = new Map<string, number>();
  /** By migration, while somebody orders something about it. */
  readonly #busy = new Map<string, { readonly mutex: Mutex; users: number }>();

  constructor(stateDir: string, most = MAX) {
    this.#file = new SyncedLines(path.join(stateDir, FILE));
    this.#most = most;
    for (const line of this.#file.read()) {
      const [request = '', epoch = ''] = line.split(' ');
      // A line that a power loss has cut is of an order on which nothing was done.
      const read = orderShape.safeParse({ request, epoch: Number(epoch) });
      if (read.success && read.data.epoch > this.seen(request)) this.#keep(read.data);
    }
  }

  /** 0 for a request that nobody named. */
  seen(request: string): number {
    return this.#seen.get(request) ?? 0;
  }

  /**
   * Does `work` under that order; GODWIT_ORDER_STALE where a higher epoch was seen. Orders about one migration run one
   * after the other, so that nothing begins after a higher epoch was answered.
   */
  async under<T>(order: Order | undefined, migration: string, work: () => Promise<T>): Promise<T> {
    if (order === undefined) return work();
    const busy = this.#busy.get(migration) ?? { mutex: new Mutex(), users: 0 };
    this.#busy.set(migration, busy);
    busy.users += 1;
    try {
      return await busy.mutex.run(async () => {
        this.#take(order);
        return work();
      });
    } finally {
      busy.users -= 1;
      if (busy.users === 0) this.#busy.delete(migration);
    }
  }

  #take({ request, epoch }: Order): void {
    const seen = this.seen(request);
    if (epoch < seen) throw godwitError('GODWIT_ORDER_STALE', { request, epoch, seen });
    if (epoch === seen) {
      // Heard of again: those of which nothing is heard go before it.
      this.#keep({ request, epoch });
      return;
    }
    // First on the disk: after a power loss a lower one must not count again.
    this.#file.append([`${request} ${epoch}`]);
    this.#keep({ request, epoch });
    if (this.#file.count > 4 * this.#most)
      this.#file.writeAnew([...this.#seen].map(([each, highest]) => `${each} ${highest}`));
  }

  #keep({ request, epoch }: Order): void {
    this.#seen.delete(request);
    this.#seen.set(request, epoch);
    const [oldest] = this.#seen.keys();
    if (this.#seen.size > this.#most && oldest !== undefined) this.#seen.delete(oldest);
  }
}

/**
 * The order of a request. GODWIT_USAGE where a controller names none, or half of one, and where anybody else names one.
 * `bySocket`: the unix socket of this agent is a controller's, which also passes on what people ask for.
 */
export function orderFor(
  query: Parameters<typeof orderOf>[0],
  caller: Caller,
  bySocket = false,
): Order | undefined {
  const order = orderOf(query);
  if (order === 'incomplete' || (order === undefined && caller.role === 'controller')) {
    const what = 'a controller names its request and the epoch of its claim on it';
    throw godwitError('GODWIT_USAGE', { what });
  }
  // Whoever names an epoch of a request refuses the controller that has it: nobody else has claims.
  const mayName = caller.role === 'controller' || (bySocket && caller.role === 'local');
  if (order !== undefined && !mayName)
    throw godwitError('GODWIT_USAGE', { what: 'only a controller names a request and an epoch' });
  return order;
}
