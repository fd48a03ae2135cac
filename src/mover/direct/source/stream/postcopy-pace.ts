import type { Clock } from '../../../../clock.ts';
import { withDeadline } from '../../../../deadline.ts';
import { hasCode, toGodwitError } from '../../../../errors.ts';
import type { QueuedBytes } from '../../../../host/machine/socket-queue.ts';
import type { Log } from '../../../../log.ts';
import { EMPTY_MS, MIN_QUEUED_MS } from '../../../../migration/prediction/parameters.ts';
import { queuedMs } from '../../../../migration/steering/downtime.ts';
import { steadyRate } from '../../../../migration/steering/figures.ts';
import type { MemorySample } from '../../../../protocol/public/migration.ts';
import { goesByWire, settingsNow, type MoverParts } from '../source-base.ts';
import { endsByContent, streamAddress } from './under-way.ts';

type Dependencies = Pick<MoverParts, 'config' | 'state' | 'guest' | 'tookOver'>;

const SET_MS = 10_000;
/** Age of a stream that shows the link's rate, ms; the first data only fills the kernel's queue. */
const KNOWN_AFTER_MS = 1000;
const EMPTY_EVERY_MS = 20;
/** Queue allowed at the switchover; a link of 100 Mbit/s sends it within 10 ms. */
const NEARLY_EMPTY_BYTES = 128 * 1024;
/** Rate of pre-copy while it is held back, bytes/s. */
export const TRICKLE = 64 * 1024;
/** Initial share of the link for background memory, and its duration after the guest's start there, ms. */
const FIRST_SHARE = 0.25;
const FIRST_MS = 500;

/**
 * Shortens the guest's stalls in post-copy over a link that is slower than its hypervisor. The kernel's queue of the
 * stream delays the device state at the switchover, and each requested page afterwards. Therefore the queue is
 * drained before, while the guest runs, and background memory starts slowly.
 */
export class PostcopyPace {
  readonly #deps: Dependencies;
  /** Absent: unreadable. */
  readonly #queued: QueuedBytes | undefined;
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #log: Log;
  #isHeld: boolean | undefined;
  /** Stream time when the guest was first seen to run there, ms. */
  #runsSinceMs: number | undefined;

  constructor(
    deps: Dependencies,
    queued: QueuedBytes | undefined,
    clock: Pick<Clock, 'sleep'>,
    log: Log,
  ) {
    this.#deps = deps;
    this.#queued = queued;
    this.#clock = clock;
    this.#log = log;
  }

  /**
   * Resolves once the kernel's queue is nearly empty; pre-copy sends almost nothing meanwhile. True if the switchover
   * may come, even without draining: not worth the time, unreadable, or unknown link. False if the link carries
   * nothing.
   */
  async empty(sample: MemorySample, over: AbortSignal): Promise<boolean> {
    const address = streamAddress(this.#deps);
    const queued = this.#queued;
    if (address === undefined || queued === undefined || !hasOneStream(this.#deps)) return true;
    if (sample.totalMs < KNOWN_AFTER_MS) return true;
    const bytesPerS = steadyRate(sample);
    let first: number | undefined;
    let held: number | undefined;
    try {
      await withDeadline('the link to carry what is queued', EMPTY_MS, over, async (signal) => {
        first = await queued(address, signal);
        if (first === undefined || queuedMs(first, bytesPerS) < MIN_QUEUED_MS) return;
        await this.#hold(bytesPerS, signal);
        held = first;
        while (held !== undefined && held > NEARLY_EMPTY_BYTES) {
          await this.#clock.sleep(EMPTY_EVERY_MS, signal);
          held = await queued(address, signal);
        }
      });
      return true;
    } catch (thrown) {
      over.throwIfAborted();
      this.#log.debug({ error: toGodwitError(thrown) }, 'the switch comes behind what is queued');
      const isDead = first !== undefined && held !== undefined && held >= first;
      return !(isDead && hasCode(thrown, 'GODWIT_DEADLINE'));
    }
  }

  /** The switchover does not come now: restores pre-copy's rate. */
  async fill(over: AbortSignal): Promise<void> {
    if (!hasOneStream(this.#deps)) return;
    const bytesPerS = settingsNow(this.#deps).maxBandwidth ?? 0;
    await withDeadline('setting the bandwidth', SET_MS, over, async (signal) => {
      const session = await this.#deps.guest.session(signal);
      await session.adjust({ precopyBandwidth: bytesPerS, postcopyBandwidth: bytesPerS }, signal);
    });
    this.#isHeld = false;
  }

  get isHolding(): boolean {
    return this.#isHeld === true;
  }

  /** Handles a look at the stream, possibly held back by an earlier mover. */
  async saw({ totalMs }: Pick<MemorySample, 'totalMs'>, over: AbortSignal): Promise<void> {
    const { doing } = this.#deps.state();
    const isInMemory = doing.kind === 'do' && doing.step === 'memory';
    // The mover that started memory has looked before anything was held back.
    this.#isHeld ??= hasOneStream(this.#deps) && (!isInMemory || this.#deps.tookOver());
    if (!this.#isHeld) return;
    if (!isInMemory) {
      this.#runsSinceMs ??= totalMs;
      if (totalMs - this.#runsSinceMs < FIRST_MS) return;
    }
    try {
      await this.fill(over);
    } catch (thrown) {
      over.throwIfAborted();
      this.#log.warn(
        { error: toGodwitError(thrown) },
        'memory may be held back: the next look tries again',
      );
    }
  }

  async #hold(bytesPerS: number, signal: AbortSignal): Promise<void> {
    const { maxBandwidth = Infinity } = settingsNow(this.#deps);
    const postcopyBandwidth = Math.round(Math.min(bytesPerS * FIRST_SHARE, maxBandwidth));
    const session = await this.#deps.guest.session(signal);
    this.#isHeld = true;
    await session.adjust({ precopyBandwidth: TRICKLE, postcopyBandwidth }, signal);
  }
}

/**
 * True if the hypervisor sends over one connection. With several, its packets are larger than the reduced rate
 * allows.
 */
function hasOneStream(context: Pick<MoverParts, 'state' | 'guest'>): boolean {
  const { plan, known } = context.state();
  const { streams } = { ...plan.settings, ...known.path?.stream };
  return streams === 1 && !goesByWire(context) && !endsByContent(context);
}
