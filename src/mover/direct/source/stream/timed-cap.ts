import { withDeadline } from '../../../../deadline.ts';
import { toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import { goesByWire, settingsNow, type MoverParts } from '../source-base.ts';

const SET_MS = 10_000;

interface RateLimiter {
  limit(bytesPerS: number | undefined): void;
}
type Dependencies = Pick<MoverParts, 'config' | 'state' | 'dispatch' | 'guest'> & {
  readonly pace: { readonly isHolding: boolean };
  readonly backingFiles: RateLimiter;
  readonly disks: RateLimiter & { readonly holdsSwitch: boolean };
  readonly dataPath: RateLimiter;
};

/** Keeps a migration that is under way to what its host allows at the time of day (`limits.bandwidth`). */
export class TimedCap {
  readonly #deps: Dependencies;
  readonly #log: Log;
  /** Another mover may have set a cap of hours that the configuration has no more. */
  readonly #tookOver: boolean;
  /** What this mover set last, bytes/s (0: no cap), and in which step; absent: nothing, and another mover may have. */
  #set: { readonly bytesPerS: number; readonly step: string | undefined } | undefined;

  constructor(deps: Dependencies, log: Log, tookOver: boolean) {
    this.#deps = deps;
    this.#log = log;
    this.#tookOver = tookOver;
  }

  /** A look at memory or at disks that are copied. What cannot be set now, the next look tries again. */
  async saw(over: AbortSignal): Promise<void> {
    const { bandwidth } = this.#deps.config.limits;
    if (bandwidth.length === 0 && !this.#tookOver) return;
    const { maxBandwidth } = settingsNow(this.#deps);
    const bytesPerS = maxBandwidth ?? 0;
    const { doing } = this.#deps.state();
    const step = doing.kind === 'do' ? doing.step : undefined;
    // A stream may have been set up with the cap of the moment before.
    if (bytesPerS === this.#set?.bytesPerS && step === this.#set.step) return;
    // What is held back on purpose is let go in a moment, and by the cap of that moment.
    if (this.#deps.pace.isHolding) return;
    const before = this.#set;
    this.#set = { bytesPerS, step };
    try {
      this.#deps.backingFiles.limit(maxBandwidth);
      this.#deps.disks.limit(maxBandwidth);
      this.#deps.dataPath.limit(maxBandwidth);
      const flows = (step === 'memory' && !this.#deps.disks.holdsSwitch) || step === 'drain';
      // A switch that is held is freed with the cap of that moment.
      if (flows && !goesByWire(this.#deps)) {
        await withDeadline('setting the bandwidth', SET_MS, over, async (signal) =>
          (await this.#deps.guest.session(signal)).adjust({ maxBandwidth: bytesPerS }, signal),
        );
      }
    } catch (thrown) {
      this.#set = before;
      over.throwIfAborted();
      this.#log.warn({ error: toGodwitError(thrown) }, 'the cap of these hours is not set yet');
      return;
    }
    record(this.#deps, maxBandwidth);
  }
}

/** Into the journal, where the hours cap it otherwise than before; what it was asked to keep to is no news. */
function record({ state, dispatch }: Dependencies, maxBandwidth: number | undefined): void {
  const { plan, capped } = state();
  const bytesPerS = maxBandwidth === plan.settings.maxBandwidth ? 0 : (maxBandwidth ?? 0);
  if (bytesPerS !== (capped?.now ?? 0)) dispatch({ type: 'capped', bytesPerS });
}
