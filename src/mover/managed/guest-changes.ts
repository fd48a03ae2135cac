import { GodwitError, godwitError, toGodwitError } from '../../errors.ts';
import { changeWords, compareGuests } from '../../migration/guest-changes/compare.ts';
import { endError } from '../../migration/guest-changes/errors.ts';
import type { ManagedContext } from './context.ts';

const COMPARE_MS = 5000;
/** Interval after news of the manager: a change, a pass over memory, or the stop for the switchover. */
const NEWS_MS = 500;

type Context = Pick<ManagedContext, 'ask' | 'order' | 'state' | 'clock' | 'log' | 'dispatch'>;

/** GODWIT_GUEST_CHANGED if the guest differs from the checked one, since the manager would move it. */
export async function assertUnchanged(context: Context, signal: AbortSignal): Promise<void> {
  const error = await compare(context, signal);
  if (error !== undefined) throw error;
}

/** Change of the guest that explains a manager's refusal; undefined if there is none, or it cannot be compared. */
export async function changeBehind(
  context: Context,
  thrown: unknown,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  if (signal.aborted) return undefined;
  for (const look of [endBehind, compare]) {
    // An unreadable guest explains nothing, so the refusal itself is reported.
    const error = await look(context, signal).catch(() => undefined);
    if (error === undefined) continue;
    context.log.info({ error: toGodwitError(thrown) }, 'guest changed by its owner');
    return error;
  }
  return undefined;
}

/** A manager refuses a guest that its owner shut down as not running. */
async function endBehind(
  { ask, order, state }: Context,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const { at, ended } = await ask((session, inner) => session.where(order, inner), signal);
  if (at !== 'source' || ended === undefined) return undefined;
  return new GodwitError(endError(state().plan.guest, ended));
}

/** Reports the owner's change instead of the manager's complaint about a missing part. */
export async function namingChanges<T>(
  context: Context,
  signal: AbortSignal,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (thrown) {
    throw (await changeBehind(context, thrown, signal)) ?? thrown;
  }
}

/** Compares the guest periodically while its task runs. A manager refuses most changes by itself meanwhile. */
export class GuestChangeLook {
  readonly #context: Context;
  #atMs: number;

  constructor(context: Context) {
    this.#context = context;
    this.#atMs = context.clock.monotonicMs();
  }

  /** `news`: the manager has reported something since the last look. `last`: the task has failed. */
  async look(why: 'time' | 'news' | 'last', signal: AbortSignal): Promise<void> {
    const { clock, log, dispatch } = this.#context;
    const afterMs = { time: COMPARE_MS, news: NEWS_MS, last: 0 }[why];
    if (clock.monotonicMs() - this.#atMs < afterMs) return;
    this.#atMs = clock.monotonicMs();
    try {
      const error = await compare(this.#context, signal);
      if (error !== undefined) dispatch({ type: 'failed', step: 'watch', error: error.toJSON() });
    } catch (thrown) {
      // The task continues, and the next look compares again.
      log.debug({ error: toGodwitError(thrown) }, 'guest not compared');
    }
  }
}

async function compare(
  { ask, state }: Context,
  signal: AbortSignal,
): Promise<GodwitError | undefined> {
  const { snapshot, plan, copies } = state();
  if (snapshot === undefined) return undefined;
  const now = await ask(async (session, inner) => session.snapshot?.(inner), signal);
  if (now === undefined) return undefined;
  const move = { copiesDisks: copies.length > 0, carriesMedia: false, unplugs: [] };
  const what = changeWords(compareGuests(snapshot, now, move));
  if (what === undefined) return undefined;
  return godwitError('GODWIT_GUEST_CHANGED', { guest: plan.guest, what });
}
