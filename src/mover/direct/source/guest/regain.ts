import { godwitError, type GodwitError } from '../../../../errors.ts';
import type { SourceState } from '../../../../migration/direct/source/source-state.ts';
import { isMemoryStale } from '../../../../migration/direct/source/resolve.ts';
import { mayBeOwnPause } from '../../../../migration/guest-changes/run-states.ts';
import { permissionHere, refusalOnly, refusalOrProof, takeBackClaim } from './permission.ts';
import type { StepContext } from '../ports.ts';
import type { UndoFacts } from '../source-base.ts';

/**
 * Resolves with the guest running here, or stopped as its owner left it. GODWIT_HELD if the destination's refusal is
 * required and missing, or if the guest's memory may be older than its storage and its driver cannot boot it.
 */
export async function regain(
  context: StepContext<'peer' | 'hypervisor' | 'host'>,
  signal: AbortSignal,
): Promise<UndoFacts> {
  const session = await context.hypervisor.session(signal);
  const status = await session.cancel(signal);
  if (status.run === 'running' || status.run === 'gone') return {};
  // It was stopped for a failed switchover, so its hypervisor does not resume it.
  const brokeOff = status.stream === 'cancelled' || status.stream === 'failed';
  const { decision, via } = context.state();
  const { proof } = decision;
  const claim = takeBackClaim(context.state(), !brokeOff);
  const isPostcopy = status.stream.startsWith('postcopy') || (brokeOff && via === 'postcopy');
  // In post-copy the source also keeps the whole guest, which is current unless the destination has run it. Its
  // refusal proves that it did not; a proof that it is off now does not.
  if (isPostcopy && proof !== 'none') {
    const reason = 'post-copy had begun, and the destination may have run the guest for a while';
    throw godwitError('GODWIT_HELD', { guest: context.request.request.guest, reason });
  }
  const askDestination = isPostcopy ? refusalOnly : refusalOrProof;
  const permission = await permissionHere(context, claim, askDestination, signal);
  // A guest stopped by its owner, itself or a fault stays stopped; only its owner resumes it.
  if (context.state().halted !== undefined) return {};
  if (status.halt !== undefined && !mayBeOwnPause(status.halt)) return {};
  if (isMemoryStale(context.state())) {
    if (session.startFromDisks !== undefined) {
      await session.startFromDisks(permission, signal);
      return { fromDisks: true };
    }
    // An operator who was warned may resume from memory on any basis. A repeated hook proves again that the
    // destination is off, and a destination that returned refuses.
    const isInsisted = proof === 'operator' || decision.fromMemory === true;
    if (!isInsisted) throw staleMemory(context.state());
  }
  await session.resumeGuest(permission, signal);
  return {};
}

function staleMemory({ plan: { guest, to } }: Pick<SourceState, 'plan'>): GodwitError {
  const reason = `${to} may have run it and written to storage that both hosts see, so its memory here may be older than its files, and its driver cannot start it from them`;
  return godwitError('GODWIT_HELD', { guest, reason });
}
