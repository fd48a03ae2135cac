import path from 'node:path';
import { godwitError } from '../../errors.ts';
import { SyncedLines } from '../../system/files/synced-lines.ts';
import { Mutex } from '../../mutex.ts';
import { order as orderShape, orderOf, type Order } from '../../protocol/public/order.ts';
import type { Caller } from '../../rpc/caller.ts';

const MAX = 16_384;
const FILE = 'orders';

/**
 * The highest epoch that controllers have named for each request. A stalled controller whose request was taken over has
 * a lower epoch, and its order is refused. An epoch is on the disk before it counts.
 */
export class Orders {
  readonly #file: SyncedLines;
  readonly #most: number;
  readonly #seen = new Map<string, number>();
  readonly #busy = new Map<string, { readonly mutex: Mutex; users: number }>();

  constructor(stateDir: string, most = MAX) {
    this.#file = new SyncedLines(path.join(stateDir, FILE));
    this.#most = most;
    for (const line of this.#file.read()) {
      const [request = '', epoch = ''] = line.split(' ');
      const read = orderShape.safeParse({ request, epoch: Number(epoch) });
      if (read.success && read.data.epoch > this.seen(request)) this.#keep(read.data);
    }
  }

  seen(request: string): number {
    return this.#seen.get(request) ?? 0;
  }

  /**
   * Runs `work` under that order; GODWIT_ORDER_STALE if a higher epoch was seen. Orders about one migration run one
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
      this.#keep({ request, epoch });
      return;
    }
    // On the disk first, so that a lower epoch does not count after a power loss.
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
 * The order of a request. GODWIT_USAGE if a controller names none or half of one, and if another caller names one.
 * `bySocket`: the agent's Unix socket belongs to a controller, which also relays people's calls.
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
  const mayName = caller.role === 'controller' || (bySocket && caller.role === 'local');
  if (order !== undefined && !mayName)
    throw godwitError('GODWIT_USAGE', { what: 'only a controller names a request and an epoch' });
  return order;
}
