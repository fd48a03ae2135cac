import { systemClock } from '../../../clock.ts';
import { godwitError } from '../../../errors.ts';
import { readCounters } from '../../../host/guest-counters.ts';
import { readLoadHistory } from '../../../host/load-file.ts';
import type { StepFacts } from '../../../migration/direct/source-state.ts';
import { ratesBetween } from '../../../migration/load-history.ts';
import type { GuestCounters } from '../../../migration/load-history.ts';
import { rateWithin } from '../../../migration/prediction/curve.ts';
import {
  MOST_LOOKS,
  neverQuiet,
  whyIdle,
  whyQuiet,
} from '../../../migration/steering/quiet-guest.ts';
import type { LoadHour } from '../../../protocol/public/guest-load.ts';
import { giveNotice } from './notice.ts';
import type { SourceContext } from './source-context.ts';
import { untilMoment } from './time-limit.ts';

/** From one look at the guest to the next, ms; a look itself takes a few seconds. */
const LOOK_EVERY_MS = 15_000;

/** Waits for the moment that was asked for, gives notice ahead of it, and waits for a quiet one. Touches nothing. */
export async function waitToBegin(context: SourceContext, signal: AbortSignal): Promise<StepFacts> {
  const { notBefore, whenQuiet, noticeMs } = context.state().plan.settings;
  const notBeforeMs = notBefore === undefined ? 0 : Date.parse(notBefore);
  // By the wall clock alone, so that a mover that takes over waits no longer.
  let fromMs = Math.max(notBeforeMs, Date.parse(context.request.createdAt));
  const waited: string[] = [];
  if (noticeMs !== undefined) {
    // The notice ends when the migration may begin, and lasts as long as it was asked for.
    await untilMoment(notBeforeMs - noticeMs, signal);
    fromMs = Math.max(notBeforeMs, Date.parse(context.request.createdAt) + noticeMs);
    waited.push(await giveNotice(context, fromMs, signal));
  }
  await untilMoment(notBeforeMs, signal);
  if (whenQuiet !== undefined)
    waited.push(await quiet(context, fromMs + whenQuiet.withinMs, whenQuiet.withinMs, signal));
  const why = waited.length === 0 ? {} : { waited: waited.join('; ').slice(0, 1000) };
  return { beganAtMs: systemClock.wallMs(), ...why };
}

/** Why it begins, in words. */
async function quiet(
  context: SourceContext,
  untilMs: number,
  withinMs: number,
  signal: AbortSignal,
): Promise<string> {
  let rates: number[] = [];
  const load = new LoadLooks(context);
  const hours = keptHours(context.config.stateDir, context.request.request.guest);
  for (;;) {
    const rate = await rateOf(context, signal);
    if (rate !== undefined) rates = [...rates, rate].slice(-MOST_LOOKS);
    const idle = load.whyIdle();
    const why = rate === undefined ? idle : whyQuiet(rates, hours);
    if (why !== undefined) return why;
    const leftMs = untilMs - systemClock.wallMs();
    if (leftMs <= 0) return neverQuiet(withinMs, rates);
    await systemClock.sleep(Math.min(leftMs, LOOK_EVERY_MS), signal);
  }
}

/** What a guest does, from one look to the next, beside what this host's agent has kept of it. */
class LoadLooks {
  readonly #context: Pick<SourceContext, 'config' | 'request' | 'guest'>;
  #before: { readonly counters: GuestCounters; readonly atMs: number } | undefined;

  constructor(context: Pick<SourceContext, 'config' | 'request' | 'guest'>) {
    this.#context = context;
  }

  /** Why it is quiet now; undefined where it is not, or where that is not known. */
  whyIdle(): string | undefined {
    const { config, request, guest } = this.#context;
    const { pid } = guest;
    if (pid === undefined) return undefined;
    const counters = readCounters({ pid, ports: [] }, new Map());
    const [before, atMs] = [this.#before, systemClock.monotonicMs()];
    this.#before = counters === undefined ? undefined : { counters, atMs };
    if (counters === undefined || before === undefined) return undefined;
    const now = ratesBetween(before.counters, counters, atMs - before.atMs);
    return now === undefined
      ? undefined
      : whyIdle(now, keptHours(config.stateDir, request.request.guest));
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

/** bytes/s over the longest window that is measured; undefined where this look came to nothing. */
async function rateOf(context: SourceContext, signal: AbortSignal): Promise<number | undefined> {
  const session = await context.guest.session(signal);
  if (session.measure === undefined) {
    const reason = `the driver ${session.handle.driver} cannot measure what a guest writes`;
    throw godwitError('GODWIT_CAPABILITY', { what: '--when quiet', reason });
  }
  try {
    const { curve } = await session.measure(signal);
    const longest = curve.at(-1);
    return longest === undefined ? undefined : rateWithin(longest);
  } catch {
    signal.throwIfAborted();
    // It may be measured for somebody else just now; one that is gone says so by its own event.
    return undefined;
  }
}
