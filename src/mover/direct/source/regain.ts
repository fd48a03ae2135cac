import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { mayBeOwnPause } from '../../../migration/guest-changes/run-states.ts';
import type { HypervisorStatus, SourceSession } from '../../../drivers/port/direct.ts';
import { sourceMayResume, sourceMayRunOn } from '../../../migration/direct/run-right.ts';
import { ask, darkMs } from './source-context.ts';
import type { SourceContext } from './source-context.ts';

/** Time that the destination may be out of reach while its refusal is needed, ms. */
const REFUSAL_MS = 60_000;
/** The same with the time for the proof that it is off; undoing a step may take 110 s. */
const REFUSAL_AND_PROOF_MS = 105_000;

/** An agent that died is started again within moments by whatever looks after it, ms. */
const AGENT_BACK_MS = 10_000;
const AGENT_RETRY_MS = 250;

/**
 * Whether the destination has a mover for this. Its agent may have died of the very admission and be back in a moment:
 * without its answer a mover would be left there until it finds out by itself.
 */
export async function isMoverThere(context: SourceContext, signal: AbortSignal): Promise<boolean> {
  const until = systemClock.monotonicMs() + AGENT_BACK_MS;
  for (;;) {
    try {
      return await context.peer.locate(context.request.id, signal);
    } catch (thrown) {
      const away = hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
      if (!away || systemClock.monotonicMs() > until) throw thrown;
    }
    await systemClock.sleep(AGENT_RETRY_MS, signal);
  }
}

/**
 * Ends with the guest running here, or standing still as its owner left it; or with GODWIT_HELD if the destination’s
 * refusal is needed and not to be had.
 */
export async function regain(context: SourceContext, signal: AbortSignal): Promise<void> {
  const session = await context.guest.session(signal);
  const status = await session.cancel(signal);
  if (status.run === 'running' || status.run === 'gone') return;
  // It was stopped for a switch that did not come to be, so its hypervisor does not run it on by itself.
  const brokeOff = status.stream === 'cancelled' || status.stream === 'failed';
  const { proof, via } = context.state();
  // A proof closes the epoch although a commit may have been sent. It does not show whether the guest ran there.
  if (brokeOff && proof === 'none' && sourceMayRunOn(context.state().right)) {
    await runOn(context, session, status, signal);
    return;
  }
  const isPostcopy = status.stream.startsWith('postcopy') || (brokeOff && via === 'postcopy');
  // In post-copy too the source keeps all of the guest, and it is the newest as long as the destination has not run it.
  // The destination's own refusal says so; that it is off now does not.
  if (isPostcopy && proof !== 'none') {
    const reason = 'post-copy had begun, and the destination may have run the guest for a while';
    throw godwitError('GODWIT_HELD', { guest: context.request.request.guest, reason });
  }
  if (proof === 'none') await needRefusal(context, signal, !isPostcopy);
  if (!sourceMayResume(context.state().right, true)) throw hadRight(context);
  await runOn(context, session, status, signal);
}

/** A guest that its owner, itself or a fault stopped is left so: the order to run it again is its owner's. */
async function runOn(
  { state }: SourceContext,
  session: SourceSession,
  { halt }: HypervisorStatus,
  signal: AbortSignal,
): Promise<void> {
  if (state().halted !== undefined) return;
  if (halt !== undefined && !mayBeOwnPause(halt)) return;
  await session.resumeGuest(signal);
}

/** Nobody else runs the guest, or ever will under this epoch; GODWIT_HELD where that is not known. */
export async function mustRunHere(context: SourceContext, signal: AbortSignal): Promise<void> {
  const { proof, right } = context.state();
  if (proof === 'none' && sourceMayRunOn(right)) return;
  if (proof === 'none') await needRefusal(context, signal, true);
  if (!sourceMayResume(context.state().right, true)) throw hadRight(context);
}

function hadRight({ request }: SourceContext): Error {
  const reason = 'the destination has had the right to run';
  return godwitError('GODWIT_HELD', { guest: request.request.guest, reason });
}

/** The destination's refusal, or where that will do the proof that its host is off; GODWIT_HELD without. */
async function needRefusal(
  context: SourceContext,
  signal: AbortSignal,
  orProof: boolean,
): Promise<void> {
  const body = { epoch: context.state().plan.epoch };
  const limitMs = context.fenceMs === 0 ? REFUSAL_MS : darkMs(context, REFUSAL_AND_PROOF_MS);
  try {
    await withDeadline('the destination’s refusal', limitMs, signal, (bounded) =>
      ask(context, bounded, (api) => api.refuse({ body }, { signal: bounded, deadlineMs: 10_000 })),
    );
  } catch (cause) {
    const isDark = hasCode(cause, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
    const fencing = orProof && isDark ? await context.fence(signal) : undefined;
    if (fencing?.off === true) return;
    const failure = cause instanceof Error ? cause.message : String(cause);
    const why = fencing === undefined ? failure : `${failure}; ${fencing.why}`;
    const reason = `everything was handed over and the destination gave no refusal: ${why}`;
    throw godwitError('GODWIT_HELD', { guest: context.request.request.guest, reason }, { cause });
  }
}
