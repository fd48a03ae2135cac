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

/** Keeps a running migration to the host's caps by time of day (`limits.bandwidth`). */
export class TimedCap {
  readonly #deps: Dependencies;
  readonly #log: Log;
  /** Another mover may have set a cap of removed hours. */
  readonly #tookOver: boolean;
  /** Last setting of this mover, bytes/s (0: no cap), and its step; absent: none by this mover. */
  #set: { readonly bytesPerS: number; readonly step: string | undefined } | undefined;

  constructor(deps: Dependencies, log: Log, tookOver: boolean) {
    this.#deps = deps;
    this.#log = log;
    this.#tookOver = tookOver;
  }

  /** Handles a look at memory or disk copies, and retries failed settings. */
  async saw(over: AbortSignal): Promise<void> {
    const { bandwidth } = this.#deps.config.limits;
    if (bandwidth.length === 0 && !this.#tookOver) return;
    const { maxBandwidth } = settingsNow(this.#deps);
    const bytesPerS = maxBandwidth ?? 0;
    const { doing } = this.#deps.state();
    const step = doing.kind === 'do' ? doing.step : undefined;
    // The stream may have the previous cap.
    if (bytesPerS === this.#set?.bytesPerS && step === this.#set.step) return;
    // A held stream is released soon, with the cap of that time.
    if (this.#deps.pace.isHolding) return;
    const before = this.#set;
    this.#set = { bytesPerS, step };
    try {
      this.#deps.backingFiles.limit(maxBandwidth);
      this.#deps.disks.limit(maxBandwidth);
      this.#deps.dataPath.limit(maxBandwidth);
      const flows = (step === 'memory' && !this.#deps.disks.holdsSwitch) || step === 'drain';
      // A held switchover is released with the cap of that time.
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

/** Journals a change by the hours; the requested cap is not news. */
function record({ state, dispatch }: Dependencies, maxBandwidth: number | undefined): void {
  const { plan, capped } = state();
  const bytesPerS = maxBandwidth === plan.settings.maxBandwidth ? 0 : (maxBandwidth ?? 0);
  if (bytesPerS !== (capped?.now ?? 0)) dispatch({ type: 'capped', bytesPerS });
}
