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
import { untilMoment } from './time-limit.ts';

/** From one look at the guest to the next, ms; a look itself takes a few seconds. */
const LOOK_EVERY_MS = 15_000;

/** A migration that is to begin, whoever moves the guest's memory. */
export interface Beginning extends NoticeRequest {
  readonly settings: Pick<MigrationSettings, 'notBefore' | 'whenQuiet' | 'noticeMs'>;
  /** Wall clock. */
  readonly askedAtMs: number;
  /** What counts its work on this host; absent where nothing is known. */
  readonly countedBy?: CountedBy | undefined;
  /** bytes/s that it writes to its memory; undefined where this look came to nothing. Rejects where no look ever will. */
  readonly dirtyRate: (signal: AbortSignal) => Promise<number | undefined>;
}

/** When it began, wall clock, and what was waited for, in words. */
export interface WaitResult {
  readonly beganAtMs: number;
  readonly waited?: string;
}

/** Waits for the moment that was asked for, gives notice ahead of it, and waits for a quiet one. Touches nothing. */
export async function waitToBegin(beginning: Beginning, signal: AbortSignal): Promise<WaitResult> {
  const { clock, settings, askedAtMs } = beginning;
  const { notBefore, whenQuiet, noticeMs } = settings;
  const notBeforeMs = notBefore === undefined ? 0 : Date.parse(notBefore);
  // By the wall clock alone, so that a mover that takes over waits no longer, but for a notice that nobody may have heard.
  let fromMs = Math.max(notBeforeMs, askedAtMs);
  const waited: string[] = [];
  if (noticeMs !== undefined) {
    // The notice ends when the migration may begin, and lasts as long as it was asked for.
    await untilMoment(notBeforeMs - noticeMs, clock, signal);
    fromMs = Math.max(notBeforeMs, askedAtMs + noticeMs);
    // Its time passed while nobody ran here: whether anybody was notified is not known, and twice is better than never.
    if (clock.wallMs() >= fromMs) fromMs = clock.wallMs() + noticeMs;
    waited.push(await giveNotice(beginning, fromMs, signal));
  }
  await untilMoment(notBeforeMs, clock, signal);
  if (whenQuiet !== undefined)
    waited.push(await quiet(beginning, fromMs + whenQuiet.withinMs, whenQuiet.withinMs, signal));
  const why = waited.length === 0 ? {} : { waited: waited.join('; ').slice(0, 1000) };
  return { beganAtMs: clock.wallMs(), ...why };
}

/** Why it begins, in words. */
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

/** What a guest does, from one look to the next, beside what this host's agent has kept of it. */
class LoadLooks {
  readonly #beginning: Beginning;
  #before: { readonly counters: GuestCounters; readonly atMs: number } | undefined;

  constructor(beginning: Beginning) {
    this.#beginning = beginning;
  }

  /** Why it is quiet now; undefined where it is not, or where that is not known. */
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

/** None where there are none, or none that can be read: the agent says so in its log. */
function keptHours(stateDir: string, guest: string): readonly LoadHour[] {
  try {
    return readLoadHistory(stateDir).get(guest) ?? [];
  } catch {
    return [];
  }
}

/** bytes/s, as those of its hours; undefined where this look came to nothing. */
export async function rateOf(
  measure: () => Promise<Pick<GuestMeasure, 'curve' | 'memoryBytes'>>,
  signal: AbortSignal,
): Promise<number | undefined> {
  try {
    return comparableRate(await measure());
  } catch {
    signal.throwIfAborted();
    // It may be measured for somebody else just now; one that is gone says so by its own event.
    return undefined;
  }
}

/** What is said where a guest is to be waited for and its driver measures none. */
export function neverMeasured(driver: string): Error {
  const reason = `the driver ${driver} cannot measure what a guest writes`;
  return godwitError('GODWIT_CAPABILITY', { what: '--when quiet', reason });
}
