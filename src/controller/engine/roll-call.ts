import { defined } from '../../protocol/defined.ts';
import type { Cancel } from '../wishes/moves.ts';
import type { Heard } from '../wishes/roll-health.ts';
import type { Wish } from '../../protocol/controller/wish.ts';
import type { Claim, RollCalls, WishStore, WishView } from './ports.ts';

interface Dependencies {
  readonly store: Pick<WishStore, 'renew'>;
  readonly roll: RollCalls;
  readonly leaseMs: number;
}

/** What a roll asks next besides its moves. */
export function callOfRoll(
  { roll, ask }: Pick<Wish, 'roll' | 'ask'>,
  cancel: Cancel,
): 'host' | 'program' | 'nothing' {
  if (ask.kind !== 'roll' || roll === undefined || cancel !== 'no') return 'nothing';
  switch (roll.stage) {
    case 'noting':
    case 'waiting':
      return 'host';
    case 'running':
      return 'program';
    case 'planning':
    case 'draining':
    case 'returning':
      return 'nothing';
  }
}

/** The one call that a roll has under way, and its answer until a step has taken it. */
export class RollCall {
  readonly #deps: Dependencies;
  readonly #end = new AbortController();
  /** Of which host and stage. */
  #of = '';
  #heard: Heard | 'pending' | undefined;
  #call: Promise<void> = Promise.resolve();

  constructor(deps: Dependencies) {
    this.#deps = deps;
  }

  ask({ wish, cancel }: WishView, claim: Claim): void {
    const of = callOfRoll(wish, cancel);
    if (of === 'nothing' || this.#end.signal.aborted) return;
    if (this.#heard !== undefined && this.#of === keyOf(wish)) return;
    // A host of an earlier stage may still be asked: nobody waits for its answer.
    this.#of = keyOf(wish);
    this.#heard = 'pending';
    const key = this.#of;
    const call = of === 'host' ? this.#host(wish) : this.#program(wish, claim);
    this.#call = call.then((heard) => {
      if (this.#of === key) this.#heard = heard;
    });
  }

  heard(wish: Wish): Heard | 'pending' | undefined {
    return this.#of === keyOf(wish) ? this.#heard : undefined;
  }

  get isPending(): boolean {
    return this.#heard === 'pending';
  }

  /** What was heard is written down: the next call may be made. What has come since is not lost. */
  took(heard: Heard | 'pending' | undefined): void {
    if (this.#heard === heard && heard !== 'pending') this.#heard = undefined;
  }

  async end(): Promise<void> {
    this.#end.abort();
    await this.#call;
  }

  #host(wish: Wish): Promise<Heard> {
    return this.#deps.roll.host(hostOf(wish), this.#end.signal);
  }

  /** Undefined where it was not run: the next round asks again, if the wish is still its own. */
  async #program(wish: Wish, claim: Claim): Promise<Heard | undefined> {
    const { store, roll, leaseMs } = this.#deps;
    // Looked at again right before: whoever stalled since the view may have been replaced. A database that fails says
    // nothing about the program, and a claim that is not ours may be our own under a newer epoch.
    const isOwn = await store.renew(claim, leaseMs).catch(() => false);
    if (!isOwn) return undefined;
    const host = hostOf(wish);
    const before = wish.roll?.before;
    const call = {
      program: wish.ask.run ?? '',
      host,
      id: `${wish.id}.${host}`,
      epoch: claim.epoch,
      ...defined({ before }),
    };
    return roll.program(call, this.#end.signal);
  }
}

const hostOf = ({ ask, roll }: Wish): string => ask.hosts[roll?.at ?? 0] ?? '';
const keyOf = (wish: Wish): string => `${wish.roll?.at} ${wish.roll?.stage}`;
