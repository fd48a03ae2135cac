import type { Clock } from '../../../../clock.ts';
import { WINDOWS_MS, type Brief } from '../../../../host/memory-sample/pages.ts';
import { strategyOf } from '../../../../migration/steering/strategies.ts';
import {
  isLongEnough,
  LONG_LOOK_SHARE,
  mayBeLate,
  MAX_LONG_LOOK_MS,
} from '../../../../migration/steering/first-round.ts';
import { LinkPeak, LOOK_MS, type Writes } from '../../../../migration/steering/write-rate.ts';
import type { MemorySample } from '../../../../protocol/public/migration.ts';
import type { CurvePoint } from '../../../../protocol/public/prediction.ts';
import { goesByWire, type MoverParts } from '../source-base.ts';

/** Between two looks, ms: each takes 3 s, and little of a processor. */
const PAUSE_MS = 3000;
/** Each look takes all of its windows: nobody ends it before that because enough was seen. */
const NEVER_ENOUGH = new AbortController().signal;

type Needs = Pick<MoverParts, 'state' | 'guest'>;

/** Looks at a sample of the guest's pages while the first round runs. Nothing waits for it. */
export class WriteLooks {
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #over = new AbortController();
  readonly #peak = new LinkPeak();
  #newest: Omit<Writes, 'linkRate' | 'long'> | undefined;
  #long: CurvePoint | undefined;
  #hasBegun = false;
  #isLookingLong = false;
  /** For how long the last of the long looks was to take, ms. */
  #longMs = 0;

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock;
  }

  /** What the newest look saw; undefined where none has ended, or nobody knows the link. */
  get newest(): Writes | undefined {
    const { bytesPerS: linkRate } = this.#peak;
    if (this.#newest === undefined || linkRate === undefined) return undefined;
    return { ...this.#newest, linkRate, ...(this.#long && { long: this.#long }) };
  }

  /** Begins to look where that is of use, and ends with the first round. `leftMs`: until the time allowed is over. */
  saw(needs: Needs, sample: MemorySample, leftMs: number): void {
    if (sample.round > 1) {
      this.close();
      return;
    }
    this.#peak.saw(sample);
    const restMs = restOf(sample, this.#peak.bytesPerS);
    if (restMs === undefined || !isLookedAt(needs)) return;
    if (!this.#hasBegun) {
      if (restMs < LOOK_MS) return;
      this.#hasBegun = true;
      void this.#look(needs);
    }
    const passMs = sample.totalMs + restMs;
    // Once more where the round turned out to be longer than the look before had been made for.
    if (this.#isLookingLong || isLongEnough(this.#longMs, passMs)) return;
    if (isLookedAtForLong(needs, mayBeLate(restMs, passMs, leftMs)))
      void this.#lookLong(needs, passMs * LONG_LOOK_SHARE);
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
        const found = await lookOnce(guest, { enough: NEVER_ENOUGH }, signal);
        if (found === undefined) return;
        this.#newest = found;
        await this.#clock.sleep(PAUSE_MS, signal);
      }
    } catch {
      // Its pages cannot be read any more: an older look does not count for the rest of the round.
      if (!signal.aborted) this.#newest = undefined;
    }
  }

  /** Beside them. Never rejects. */
  async #lookLong({ guest }: Needs, ms: number): Promise<void> {
    const longestMs = Math.round(Math.min(ms, MAX_LONG_LOOK_MS));
    this.#longMs = ms;
    const brief = { enough: NEVER_ENOUGH, longestMs };
    this.#isLookingLong = true;
    const found = await lookOnce(guest, brief, this.#over.signal).catch(() => undefined);
    // What cannot be read is not tried again.
    if (found === undefined) return;
    this.#long = found.curve.at(-1);
    this.#isLookingLong = false;
  }
}

/** From outside alone: its hypervisor has enough to do. Undefined where that cannot be. */
async function lookOnce(
  guest: Needs['guest'],
  brief: Brief,
  signal: AbortSignal,
): Promise<Omit<Writes, 'linkRate' | 'long'> | undefined> {
  const session = await guest.session(signal);
  const found = await session.measure?.(signal, brief);
  if (found?.how !== 'pages') return undefined;
  const { pages, memoryBytes, curve, mix } = found;
  return { pages, memoryBytes, curve, zeroShare: mix?.zero };
}

/**
 * How long the first round goes on, ms: by the most that the link carried within a second, as what goes at first goes into the
 * kernel's queue, or as it went until now, where that is sooner: a second among pages of zeros shows little of the link.
 * Undefined before a second is over.
 */
function restOf(
  { totalBytes, remainingBytes, totalMs }: MemorySample,
  bytesPerS: number | undefined,
): number | undefined {
  const sentBytes = totalBytes - remainingBytes;
  if (bytesPerS === undefined || sentBytes <= 0) return undefined;
  const byLinkMs = (remainingBytes * 1000) / Math.max(1, bytesPerS);
  return Math.min(byLinkMs, (remainingBytes * totalMs) / sentBytes);
}

/** Whether post-copy may have to begin in the first round: where it is cheaper, or where its end would be too late. */
function isLookedAtForLong({ state }: Pick<Needs, 'state'>, isShort: boolean): boolean {
  const { settings } = state().plan;
  const { postcopyIfCheaper = false, measures } = strategyOf(settings);
  if (settings.mode === 'precopy' || !measures.includes('postcopy')) return false;
  return postcopyIfCheaper || isShort;
}

/**
 * Whether a look at its pages says what the rounds do not. Where a byte that is
 * written is not a byte that is sent it would be compared with the wrong rate.
 */
function isLookedAt({ state, guest }: Needs): boolean {
  const { plan, known } = state();
  const { measures, precopyRounds } = strategyOf(plan.settings);
  if (measures.length === 0 || precopyRounds === 0) return false;
  const { compress } = { ...plan.settings, ...known.path?.stream };
  if (goesByWire({ state }) || compress !== 'none') return false;
  // A look says nothing of a downtime that is longer than its windows.
  if (plan.settings.maxDowntimeMs > Math.max(...WINDOWS_MS)) return false;
  return guest.capabilities.rounds !== 'content';
}
