import { modeCallOf, type ModeHeard } from '../wishes/maintenance-mode.ts';
import type { Wish } from '../../protocol/controller/wish.ts';
import type { ModeCalls, WishView } from './ports.ts';

/** The one call about its host's mode that a drain has under way, and its answer until a step has taken it. */
export class ModeCallUnderway {
  readonly #calls: ModeCalls;
  #of = '';
  #heard: ModeHeard | 'pending' | undefined;
  #call: Promise<void> = Promise.resolve();

  constructor(calls: ModeCalls) {
    this.#calls = calls;
  }

  /** Nothing is asked while an earlier call is not answered: the manager is asked for one thing at a time. */
  ask({ wish, cancel, world }: Pick<WishView, 'wish' | 'cancel' | 'world'>): void {
    if (this.#heard !== undefined) return;
    const call = modeCallOf(wish.maintenanceMode, cancel, world.nowMs);
    if (call === 'nothing') return;
    this.#heard = 'pending';
    this.#of = phaseOf(wish);
    this.#call = this.#calls.ask(call, wish).then((heard) => {
      this.#heard = heard;
    });
  }

  /** What was heard of the phase in which the wish still is. */
  heard(wish: Wish): ModeHeard | undefined {
    if (this.#heard === 'pending' || this.#of !== phaseOf(wish)) return undefined;
    return this.#heard;
  }

  get isPending(): boolean {
    return this.#heard === 'pending';
  }

  /** What has been heard by now is written down, or is of no use any more: the next call may be made. */
  took(): void {
    if (this.#heard !== 'pending') this.#heard = undefined;
  }

  /** The manager's answer to an order is waited for: the next order comes after it. */
  async end(): Promise<void> {
    await this.#call;
  }
}

const phaseOf = ({ maintenanceMode }: Wish): string => maintenanceMode?.phase ?? '';
