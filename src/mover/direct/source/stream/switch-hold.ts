import { withDeadline } from '../../../../deadline.ts';
import { toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import { goesByWire, settingsNow, type MoverParts } from '../source-base.ts';
import { TRICKLE } from './postcopy-pace.ts';
import type { UnderWay } from './under-way.ts';

type Dependencies = Pick<MoverParts, 'config' | 'state' | 'guest' | 'tookOver'> & {
  readonly underWay: Pick<UnderWay, 'downtimeMs'>;
};

const SET_MS = 10_000;
/** QEMU's minimum downtime limit, ms. */
const MIN_DOWNTIME_MS = 1;

/**
 * Delays pre-copy's switchover while disk copies have no path to the destination. QEMU decides by itself when to stop
 * the guest and has no order to postpone that. Once the guest is stopped, it flushes every copy, and a failed flush
 * ends the migration before `pre-switchover` (`migration_completion`, 7.2 to 10.0). During the hold QEMU sends 64
 * KiB/s and plans for 1 ms of downtime, so it would only stop a guest that writes nothing.
 */
export class SwitchHold {
  readonly #deps: Dependencies;
  readonly #log: Log;
  /** Undefined: not set yet, and an earlier mover may have held the switchover. */
  #isHeld: boolean | undefined;

  constructor(deps: Dependencies, log: Log) {
    this.#deps = deps;
    this.#log = log;
  }

  get isHolding(): boolean {
    return this.#isHeld === true;
  }

  /** Called after each look at the copies; a failed setting is then tried again. */
  async set(isHeld: boolean, over: AbortSignal): Promise<void> {
    const { doing, stopped } = this.#deps.state();
    // After the stop, questions must not delay the switchover. The wire's stream ends with its mover.
    if (doing.kind !== 'do' || doing.step !== 'memory' || stopped || goesByWire(this.#deps)) return;
    if (this.#isHeld === undefined && !this.#deps.tookOver()) this.#isHeld = false;
    const before = this.#isHeld;
    if (before === isHeld) return;
    this.#isHeld = isHeld;
    const change = isHeld
      ? { precopyBandwidth: TRICKLE, maxDowntimeMs: MIN_DOWNTIME_MS }
      : {
          maxBandwidth: settingsNow(this.#deps).maxBandwidth ?? 0,
          maxDowntimeMs: this.#deps.underWay.downtimeMs(),
        };
    try {
      await withDeadline('holding the switch', SET_MS, over, async (signal) =>
        (await this.#deps.guest.session(signal)).adjust(change, signal),
      );
      this.#log.info(
        { isHeld },
        isHeld ? 'the switch is held: a disk has no path' : 'the switch is free',
      );
    } catch (thrown) {
      this.#isHeld = before;
      over.throwIfAborted();
      this.#log.warn({ error: toGodwitError(thrown) }, 'the hold of the switch is not set yet');
    }
  }
}
