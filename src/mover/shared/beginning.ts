import { godwitError } from '../../errors.ts';
import { readCounters, type CountedBy } from '../../host/machine/guest-counters.ts';
import { readLoadHistory } from '../../host/journal/load-file.ts';
import { ratesBetween, type GuestCounters } from '../../migration/load-history.ts';
import { comparableRate } from '../../migration/prediction/curve.ts';
import { MAX_LOOKS, neverQuiet, whyIdle, whyQuiet } from '../../migration/steering/quiet-guest.ts';
import type { LoadHour } from '../../protocol/public/hosts/guest-load.ts';
import type { MigrationSettings } from '../../protocol/public/migration.ts';
import type { GuestMeasure } from '../../protocol/public/prediction.ts';
import { giveNotice, type NoticeRequest } from './notice.ts';
import { untilMoment } from '../engine/time-limit.ts';

/** Interval between looks at the guest, ms; a look takes a few seconds. */
const LOOK_EVERY_MS = 15_000;

/** A migration that waits to begin, for every kind of mover. */
export interface Beginning extends NoticeRequest {
  readonly settings: Pick<MigrationSettings, 'notBefore' | 'whenQuiet' | 'noticeMs'>;
  /** Wall clock. */
  readonly askedAtMs: number;
  /** Accounting of its work on this host; absent if unknown. */
  readonly countedBy?: CountedBy | undefined;
  /** Write rate of its memory, bytes/s; undefined after a failed look. Rejects if no look can succeed. */
  readonly dirtyRate: (signal: AbortSignal) => Promise<number | undefined>;
}

/** Start time, wall clock, and the reasons for the wait. */
export interface WaitResult {
  readonly beganAtMs: number;
  readonly waited?: string;
}

/** Waits for the requested time, gives notice before it, and waits for a quiet guest. Changes nothing. */
export async function waitToBegin(beginning: Beginning, signal: AbortSignal): Promise<WaitResult> {
  const { clock, settings, askedAtMs } = beginning;
  const { notBefore, whenQuiet, noticeMs } = settings;
  const notBeforeMs = notBefore === undefined ? 0 : Date.parse(notBefore);
  // Uses wall clock only, so that a takeover does not extend the wait, except for a lost notice.
  let fromMs = Math.max(notBeforeMs, askedAtMs);
  const waited: string[] = [];
  if (noticeMs !== undefined) {
    // The notice ends when the migration may begin.
    await untilMoment(notBeforeMs - noticeMs, clock, signal);
    fromMs = Math.max(notBeforeMs, askedAtMs + noticeMs);
    // The time passed without a mover, so the owner may not have been notified.
    if (clock.wallMs() >= fromMs) fromMs = clock.wallMs() + noticeMs;
    waited.push(await giveNotice(beginning, fromMs, signal));
  }
  await untilMoment(notBeforeMs, clock, signal);
  if (whenQuiet !== undefined)
    waited.push(await quiet(beginning, fromMs + whenQuiet.withinMs, whenQuiet.withinMs, signal));
  const why = waited.length === 0 ? {} : { waited: waited.join('; ').slice(0, 1000) };
  return { beganAtMs: clock.wallMs(), ...why };
}

async function quiet(
  beginning: Beginning,
  untilMs: number,
  withinMs: number,
  signal: AbortSignal,
): Promise<string> {
  const { clock, config, guest, dirtyRate } = beginning;
  let rates: number[] = [];
  const load = new LoadLooks(beginning);
  const hours = keptHours(config.stateDir, guest);
  for (;;) {
    const rate = await dirtyRate(signal);
    if (rate !== undefined) rates = [...rates, rate].slice(-MAX_LOOKS);
    const idle = load.whyIdle();
    const why = rate === undefined ? idle : whyQuiet(rates, hours);
    if (why !== undefined) return why;
    const leftMs = untilMs - clock.wallMs();
    if (leftMs <= 0) return neverQuiet(withinMs, rates);
    await clock.sleep(Math.min(leftMs, LOOK_EVERY_MS), signal);
  }
}

/** Guest load between looks, with the agent's history. */
class LoadLooks {
  readonly #beginning: Beginning;
  #before: { readonly counters: GuestCounters; readonly atMs: number } | undefined;

  constructor(beginning: Beginning) {
    this.#beginning = beginning;
  }

  /** Reason why it is quiet; undefined if it is not, or if unknown. */
  whyIdle(): string | undefined {
    const { config, clock, guest, countedBy } = this.#beginning;
    if (countedBy === undefined) return undefined;
    const counters = readCounters(countedBy, new Map());
    const [before, atMs] = [this.#before, clock.monotonicMs()];
    this.#before = counters === undefined ? undefined : { counters, atMs };
    if (counters === undefined || before === undefined) return undefined;
    const now = ratesBetween(before.counters, counters, atMs - before.atMs);
    return now === undefined ? undefined : whyIdle(now, keptHours(config.stateDir, guest));
  }
}

/** Empty if missing or unreadable, which the agent logs. */
function keptHours(stateDir: string, guest: string): readonly LoadHour[] {
  try {
    return readLoadHistory(stateDir).get(guest) ?? [];
  } catch {
    return [];
  }
}

/** Write rate comparable with hourly rates, bytes/s; undefined after a failed look. */
export async function rateOf(
  measure: () => Promise<Pick<GuestMeasure, 'curve' | 'memoryBytes'>>,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return comparableRate(await measure());
  } catch {
    signal.throwIfAborted();
    // Another measurement may be running, and a lost guest has its own event.
    return undefined;
  }
}

export function neverMeasured(driver: string): Error {
  const reason = `the driver ${driver} cannot measure what a guest writes`;
  return godwitError('GODWIT_CAPABILITY', { what: '--when quiet', reason });
}
