import type { Clock } from '../../../clock.ts';
import { WINDOWS_MS } from '../../../host/memory-sample/pages.ts';
import { strategyOf } from '../../../migration/steering/strategies.ts';
import { LinkPeak, LOOK_MS } from '../../../migration/steering/write-rate.ts';
import type { Writes } from '../../../migration/steering/write-rate.ts';
import type { MemorySample } from '../../../protocol/public/migration.ts';
import { goesByWire } from './source-context.ts';
import type { SourceContext } from './source-context.ts';

/** Between two looks, ms: each takes 3 s, and little of a processor. */
const PAUSE_MS = 3000;
/** Each look takes all of its windows: nobody ends it before that because enough was seen. */
const NEVER_ENOUGH = new AbortController().signal;

type Needs = Pick<SourceContext, 'state' | 'guest'>;

/** Looks at a sample of the guest's pages while the first round runs. Nothing waits for it. */
export class WriteLooks {
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #over = new AbortController();
  readonly #peak = new LinkPeak();
  #newest: Omit<Writes, 'linkRate'> | undefined;
  #hasBegun = false;

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock;
  }

  /** What the newest look saw; undefined where none has ended, or nobody knows the link. */
  get newest(): Writes | undefined {
    const { bytesPerS: linkRate } = this.#peak;
    if (this.#newest === undefined || linkRate === undefined) return undefined;
    return { ...this.#newest, linkRate };
  }

  /** Begins to look where that is of use, and ends with the first round. */
  saw(needs: Needs, sample: MemorySample): void {
    if (sample.round > 1) {
      this.close();
      return;
    }
    this.#peak.saw(sample);
    if (this.#hasBegun || !isLookedAt(needs, sample)) return;
    this.#hasBegun = true;
    void this.#look(needs);
  }

  /** No look after this; one that is under way ends. */
  close(): void {
    this.#over.abort();
  }

  /** Again and again, so that the newest look is of the round's end. Never rejects: without a look the rounds alone count. */
  async #look({ guest }: Needs): Promise<void> {
    const { signal } = this.#over;
    try {
      for (;;) {
        const session = await guest.session(signal);
        if (session.measure === undefined) return;
        // From outside alone: its hypervisor has enough to do.
        const { how, pages, memoryBytes, curve } = await session.measure(signal, NEVER_ENOUGH);
        if (how !== 'pages') return;
        this.#newest = { pages, memoryBytes, curve };
        await this.#clock.sleep(PAUSE_MS, signal);
      }
    } catch {
      // Its pages cannot be read any more: an older look does not count for the rest of the round.
      if (!signal.aborted) this.#newest = undefined;
    }
  }
}

/**
 * Whether a look at its pages says what the rounds do not, and is over before the first one is. Where a byte that is
 * written is not a byte that is sent it would be compared with the wrong rate.
 */
function isLookedAt({ state, guest }: Needs, { remainingBytes, rate }: MemorySample): boolean {
  const { plan, known } = state();
  const { measures, precopyRounds } = strategyOf(plan.settings);
  if (measures.length === 0 || precopyRounds === 0) return false;
  const { compress } = { ...plan.settings, ...known.path?.stream };
  if (goesByWire({ state }) || compress !== 'none') return false;
  // A look says nothing of a downtime that is longer than its windows.
  if (plan.settings.maxDowntimeMs > Math.max(...WINDOWS_MS)) return false;
  if (guest.capabilities.rounds === 'content') return false;
  return rate > 0 && (remainingBytes * 1000) / rate >= LOOK_MS;
}
