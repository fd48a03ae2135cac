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

/** Pause between looks, ms; a look takes 3 s and little processor time. */
const PAUSE_MS = 3000;
/** Every look uses all of its windows. */
const NEVER_ENOUGH = new AbortController().signal;

type Needs = Pick<MoverParts, 'state' | 'guest'>;

/** Samples the guest's pages during the first round. Nothing waits for it. */
export class WriteLooks {
  readonly #clock: Pick<Clock, 'sleep'>;
  readonly #over = new AbortController();
  readonly #peak = new LinkPeak();
  #newest: Omit<Writes, 'linkRate' | 'long'> | undefined;
  #long: CurvePoint | undefined;
  #hasBegun = false;
  #isLookingLong = false;
  #longMs = 0;

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock;
  }

  /** Newest sample; undefined without one, or if the link is unknown. */
  get newest(): Writes | undefined {
    const { bytesPerS: linkRate } = this.#peak;
    if (this.#newest === undefined || linkRate === undefined) return undefined;
    return { ...this.#newest, linkRate, ...(this.#long && { long: this.#long }) };
  }

  /** Starts sampling if useful, and ends it with the first round. `leftMs`: remaining time of the migration. */
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
    // Repeats a look that turned out too short for the round.
    if (this.#isLookingLong || isLongEnough(this.#longMs, passMs)) return;
    if (isLookedAtForLong(needs, mayBeLate(restMs, passMs, leftMs)))
      void this.#lookLong(needs, passMs * LONG_LOOK_SHARE);
  }

  close(): void {
    this.#over.abort();
  }

  /** Repeats, so that the newest look is close to the round's end. Never rejects. */
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
      // The pages are unreadable now, and an older look does not fit the remainder of the round.
      if (!signal.aborted) this.#newest = undefined;
    }
  }

  /** Runs in parallel. Never rejects. */
  async #lookLong({ guest }: Needs, ms: number): Promise<void> {
    const longestMs = Math.round(Math.min(ms, MAX_LONG_LOOK_MS));
    this.#longMs = ms;
    const brief = { enough: NEVER_ENOUGH, longestMs };
    this.#isLookingLong = true;
    const found = await lookOnce(guest, brief, this.#over.signal).catch(() => undefined);
    // Unreadable pages are not tried again.
    if (found === undefined) return;
    this.#long = found.curve.at(-1);
    this.#isLookingLong = false;
  }
}

/** Reads from outside, because its hypervisor is busy. Undefined if impossible. */
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
 * Remainder of the first round, ms. The rate is the link's peak within a second, or the mean so far if it is higher:
 * the first data only fills the kernel's queue, and zero pages do not show the link. Undefined before a second is
 * over.
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

/** True if post-copy may have to begin in the first round: it may be cheaper, or end too late otherwise. */
function isLookedAtForLong({ state }: Pick<Needs, 'state'>, isShort: boolean): boolean {
  const { settings } = state().plan;
  const { postcopyIfCheaper = false, measures } = strategyOf(settings);
  if (settings.mode === 'precopy' || !measures.includes('postcopy')) return false;
  return postcopyIfCheaper || isShort;
}

/**
 * True if a sample tells more than the rounds. If a written byte is not a sent byte, it would be compared with the
 * wrong rate.
 */
function isLookedAt({ state, guest }: Needs): boolean {
  const { plan, known } = state();
  const { measures, precopyRounds } = strategyOf(plan.settings);
  if (measures.length === 0 || precopyRounds === 0) return false;
  const { compress } = { ...plan.settings, ...known.path?.stream };
  if (goesByWire({ state }) || compress !== 'none') return false;
  // A sample does not cover a downtime longer than its windows.
  if (plan.settings.maxDowntimeMs > Math.max(...WINDOWS_MS)) return false;
  return guest.capabilities.rounds !== 'content';
}
