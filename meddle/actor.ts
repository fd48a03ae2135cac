/** The owner's hands: an operation at a moment, by a monitor of its own and by commands on the host. */
import { obey, type Act, type Orders } from './orders.ts';
import type { Operation, OperationKind, Scene } from './plan.ts';
import { perform } from './hands.ts';
import type { Hands } from './owner.ts';

/** Performs operations one after the other, and keeps what its owner wants of the guest. */
export class Actor {
  readonly acts: Act[] = [];
  orders: Orders;
  readonly #hands: Hands;
  #count = 0;

  constructor(hands: Hands, orders: Orders) {
    this.#hands = hands;
    this.orders = orders;
  }

  async perform({ kind, moment, pick }: Operation): Promise<void> {
    const { witness, from, to, scene } = this.#hands;
    const atMs = Date.now();
    const isOver = witness.saw(to, ({ event }) => event === 'RESUME');
    const host = isOver || witness.monitor(from) === undefined ? to : from;
    const base = { kind, moment, atMs, host };
    const monitor = witness.monitor(host);
    this.#count += 1;
    const before = await witness.status(host);
    const isBetween = async (): Promise<boolean> =>
      isUndecided(this.orders, before, kind, scene) ||
      isUndecided(this.orders, await witness.status(host), kind, scene);
    let act: Act;
    try {
      if (monitor === undefined) throw new Error('the guest has no monitor');
      const at = { monitor, host, orders: this.orders, number: this.#count, hands: this.#hands };
      const { isPending = false, ...done } = await perform(at, kind, pick);
      act = { ...base, ...done, isBetween: isPending || (await isBetween()) };
    } catch (error) {
      const refused = (error as Error).message;
      act = { ...base, refused, isBetween: false };
    }
    this.acts.push(act);
    this.orders = obey(this.orders, act, scene);
  }
}

/** The guest is not in a state that its owner ordered: it is on its way from one host to the other. */
function isUndecided(
  { run: ordered }: Orders,
  status: string,
  kind: OperationKind,
  { mode }: Scene,
): boolean {
  if (status === 'running') return false;
  if (status === 'paused' || status === 'prelaunch')
    return !ordered.includes('paused') && kind !== 'pause';
  // A cold move shuts the guest down by itself, so an order to go down is not told from it.
  if (mode === 'cold' && status !== 'io-error') return true;
  if (status === 'shutdown' || status === 'io-error') return false;
  return !(status === 'silent' && kind === 'quit');
}
