import type { Clock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { GodwitError, godwitError, toGodwitError } from '../../../errors.ts';
import type { Log } from '../../../log.ts';
import { stepIndex } from '../../../migration/direct/steps.ts';
import { changeWords, compareGuests } from '../../../migration/guest-changes/compare.ts';
import type { GuestChange } from '../../../migration/guest-changes/compare.ts';
import { haltError } from '../../../migration/guest-changes/errors.ts';
import { pass } from '../../../migration/preflight/check.ts';
import type { Check } from '../../../protocol/public/migration.ts';
import type { SourceContext } from './source-context.ts';

/** Between two comparisons while the guest moves, ms: some changes have no event. */
const COMPARE_MS = 5000;
/** From an event to the comparison, ms: a change may be several events. */
const SETTLE_MS = 300;
/** A stream that failed waits so long for its reason, ms. */
const EXPLAIN_MS = 2000;

type Facts = Pick<SourceContext, 'state' | 'guest'>;

/**
 * Compares the guest with what its destination was made for, for as long as its owner can change it. A difference that
 * the move does not carry over ends the move by name.
 */
export class GuestChanges {
  readonly #clock: Clock;
  readonly #log: Log;
  #wake: (() => void) | undefined;
  #carried: readonly GuestChange[] = [];

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Before memory flows the guest must run, and be as it was described. */
  async assertReady(context: Facts, signal: AbortSignal): Promise<void> {
    const { halt } = await context.guest.status(signal);
    if (halt !== undefined) throw new GodwitError(haltError(context.state().plan.guest, halt));
    await this.assertSame(context, signal);
  }

  /** GODWIT_GUEST_CHANGED, or GODWIT_GUEST_HALTED if its owner has stopped it. */
  async assertSame(context: Facts, signal: AbortSignal): Promise<void> {
    const error = await this.#compare(context, signal);
    if (error !== undefined) throw error;
  }

  /** What the comparison before the switch found, and the destination has as well. */
  checks(): Check[] {
    const words = this.#carried.map((each) => each.words);
    if (words.length === 0) return [];
    return [pass('same-machine', `changed while it moved, and carried over: ${words.join('; ')}`)];
  }

  /** Why the stream broke, if the guest was changed; undefined if it was not, or cannot be read. */
  async explain(context: Facts, signal: AbortSignal): Promise<GodwitError | undefined> {
    const comparing = withDeadline('comparing the guest', EXPLAIN_MS, signal, (inner) =>
      this.#compare(context, inner),
    );
    return comparing.catch(() => undefined);
  }

  /** Compares now and then until the guest stops for its switch; `onChanged` is called with each difference. */
  async watch(
    context: Facts,
    onChanged: (error: GodwitError) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let isHeard = false;
    while (!signal.aborted) {
      await this.#pause(COMPARE_MS, signal);
      if (signal.aborted) return;
      if (!mayChange(context)) continue;
      try {
        if (!isHeard) {
          const session = await context.guest.session(signal);
          session.onChange?.(() => this.#wake?.());
          isHeard = true;
        }
        const error = await this.#compare(context, signal);
        if (error !== undefined && mayChange(context)) onChanged(error);
      } catch (thrown) {
        // The comparison before the switch decides.
        if (!signal.aborted) this.#log.debug({ error: toGodwitError(thrown) }, 'no comparison');
      }
    }
  }

  /** Until the time is over, or a moment after the hypervisor reported a change. */
  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    const woken = new AbortController();
    this.#wake = () => woken.abort(new Error('the guest may have been changed'));
    await this.#clock.sleep(ms, AbortSignal.any([signal, woken.signal])).catch(() => undefined);
    this.#wake = undefined;
    if (woken.signal.aborted && !signal.aborted) {
      await this.#clock.sleep(SETTLE_MS, signal).catch(() => undefined);
    }
  }

  async #compare({ guest, state }: Facts, signal: AbortSignal): Promise<GodwitError | undefined> {
    const { known, plan, halted } = state();
    if (halted !== undefined) return new GodwitError(haltError(plan.guest, halted));
    if (known.snapshot === undefined) return undefined;
    const now = await (await guest.session(signal)).snapshot?.(signal);
    if (now === undefined) return undefined;
    const changes = compareGuests(known.snapshot, now, {
      copiesDisks: (known.copies ?? []).length > 0,
      unplugs: (known.unplugged ?? []).map(({ device }) => device),
    });
    this.#carried = changes.filter(({ verdict }) => verdict === 'carried');
    const what = changeWords(changes);
    if (what === undefined) return undefined;
    return godwitError('GODWIT_GUEST_CHANGED', { guest: plan.guest, what });
  }
}

/** The destination is being made or memory flows, and nothing waits for an answer of the monitor. */
function mayChange({ state }: Facts): boolean {
  const { doing, stopped } = state();
  if (doing.kind !== 'do' || stopped) return false;
  const at = stepIndex(doing.step);
  return at > stepIndex('assess') && at <= stepIndex('memory');
}
