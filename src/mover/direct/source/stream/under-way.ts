import { withDeadline } from '../../../../deadline.ts';
import { toGodwitError } from '../../../../errors.ts';
import type { QueuedBytes } from '../../../../host/machine/socket-queue.ts';
import type { Log } from '../../../../log.ts';
import { SWITCH_MS } from '../../../../migration/prediction/parameters.ts';
import {
  plannedNowMs,
  queuedMs,
  WIRE_UNDER_WAY_MS,
} from '../../../../migration/steering/downtime.ts';
import { strategyOf } from '../../../../migration/steering/strategies.ts';
import type { MemorySample } from '../../../../protocol/public/migration.ts';
import { goesByWire, type MoverParts } from '../source-base.ts';

const EVERY_MS = 1000;
const LOOK_MS = 2000;
const SET_MS = 10_000;
/** Minimum change of the bytes in flight that changes the requested downtime: ms, and share of the downtime. */
const MIN_CHANGE_MS = 5;
const MIN_CHANGE = 0.05;

type Dependencies = Pick<MoverParts, 'state' | 'guest' | 'tookOver'>;
type TransferSample = Pick<MemorySample, 'totalMs' | 'transferredBytes'>;

/**
 * Tracks the kernel's queue of the stream. The hypervisor counts it as sent, but it precedes the guest's last pages
 * and the switchover, so the hypervisor must plan for a shorter downtime. Nothing waits for a look, and a failed one
 * keeps the old value.
 */
export class UnderWay {
  readonly #deps: Dependencies;
  /** Absent: unreadable. */
  readonly #queued: QueuedBytes | undefined;
  readonly #log: Log;
  #ms = 0;
  /** Bytes in flight at the last downtime request, ms; undefined: another mover made it. */
  #askedForMs: number | undefined;
  #since: TransferSample | undefined;
  #isLooking = false;

  constructor(deps: Dependencies, queued: QueuedBytes | undefined, log: Log) {
    this.#deps = deps;
    this.#queued = queued;
    this.#log = log;
  }

  /** Pause beyond the last pages: link time of the queue, and the switchover, ms. */
  msOf(): number {
    if (endsByContent(this.#deps)) return 0;
    return (goesByWire(this.#deps) ? WIRE_UNDER_WAY_MS : this.#ms) + SWITCH_MS;
  }

  downtimeMs(): number {
    const { plan, steering: trace } = this.#deps.state();
    const { settings } = plan;
    return plannedNowMs(strategyOf(settings), { settings, trace, underWayMs: this.msOf() });
  }

  saw({ totalMs, transferredBytes }: TransferSample, over: AbortSignal): void {
    if (this.#since === undefined) {
      this.#since = { totalMs, transferredBytes };
      this.#askedForMs = this.#deps.tookOver() ? undefined : 0;
    }
    const address = streamAddress(this.#deps);
    const tookMs = totalMs - this.#since.totalMs;
    if (address === undefined || tookMs < EVERY_MS || this.#isLooking || !hasQueue(this.#deps))
      return;
    const bytesPerS = ((transferredBytes - this.#since.transferredBytes) * 1000) / tookMs;
    this.#since = { totalMs, transferredBytes };
    this.#isLooking = true;
    void this.#look({ address, bytesPerS }, over);
  }

  async #look(
    { address, bytesPerS }: { readonly address: string; readonly bytesPerS: number },
    over: AbortSignal,
  ): Promise<void> {
    try {
      const bytes = await withDeadline('a look at the connections', LOOK_MS, over, async (signal) =>
        this.#queued?.(address, signal),
      );
      if (bytes === undefined) return;
      this.#ms = queuedMs(bytes, bytesPerS);
      await this.#ask(over);
    } catch (thrown) {
      if (!over.aborted)
        this.#log.debug({ error: toGodwitError(thrown) }, 'what is under way is not known');
    } finally {
      this.#isLooking = false;
    }
  }

  async #ask(over: AbortSignal): Promise<void> {
    const ms = this.#ms;
    const { maxDowntimeMs: longestMs } = this.#deps.state().plan.settings;
    const least = Math.max(MIN_CHANGE_MS, longestMs * MIN_CHANGE);
    if (this.#askedForMs !== undefined && Math.abs(ms - this.#askedForMs) < least) return;
    await withDeadline('setting the downtime', SET_MS, over, async (signal) => {
      const session = await this.#deps.guest.session(signal);
      const levers = await session.levers(signal);
      // After the guest's stop, the order to continue must not wait for a monitor question.
      if (!levers.includes('downtime') || !hasQueue(this.#deps)) return;
      await session.adjust({ maxDowntimeMs: this.downtimeMs() }, signal);
    });
    this.#askedForMs = ms;
  }
}

export function streamAddress({ state }: Pick<MoverParts, 'state'>): string | undefined {
  const { streamOver, memoryAddress } = state().known;
  return streamOver ?? memoryAddress;
}

/** True while pre-copy uses the hypervisor's connections, and ends by its planned downtime. */
function hasQueue(context: Pick<MoverParts, 'state' | 'guest'>): boolean {
  const { doing, stopped, plan } = context.state();
  const isUnderWay = doing.kind === 'do' && doing.step === 'memory' && !stopped;
  if (!isUnderWay || goesByWire(context)) return false;
  if (endsByContent(context)) return false;
  return strategyOf(plan.settings).precopyRounds !== 0;
}

/** Rounds end by the amount sent, and not by the downtime. */
export function endsByContent({ guest }: Pick<MoverParts, 'guest'>): boolean {
  return guest.capabilities.rounds === 'content';
}
