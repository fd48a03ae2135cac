import { godwitError, type GodwitError } from '../../../../errors.ts';
import type { SourceState } from '../../../../migration/direct/source-state.ts';
import { isMemoryStale } from '../../../../migration/direct/resolve.ts';
import { mayBeOwnPause } from '../../../../migration/guest-changes/run-states.ts';
import { permissionHere, refusalOnly, refusalOrProof, takeBackClaim } from './permission.ts';
import type { StepContext } from '../ports.ts';
import type { UndoFacts } from '../source-base.ts';

/**
 * Ends with the guest running here, or standing still as its owner left it; or with GODWIT_HELD if the destination’s
 * refusal is needed and not to be had, or if the guest's memory may be older than its storage and its driver cannot start
 * it from there.
 */
export async function regain(
  context: StepContext<'peer' | 'hypervisor' | 'host'>,
  signal: AbortSignal,
): Promise<UndoFacts> {
  const session = await context.hypervisor.session(signal);
  const status = await session.cancel(signal);
  if (status.run === 'running' || status.run === 'gone') return {};
  // It was stopped for a switch that did not take place, so its hypervisor does not resume it by itself.
  const brokeOff = status.stream === 'cancelled' || status.stream === 'failed';
  const { decision, via } = context.state();
  const { proof } = decision;
  const claim = takeBackClaim(context.state(), !brokeOff);
  const isPostcopy = status.stream.startsWith('postcopy') || (brokeOff && via === 'postcopy');
  // In post-copy too the source keeps all of the guest, and it is the newest as long as the destination has not run it.
  // The destination's own refusal shows that; a proof that it is off now does not.
  if (isPostcopy && proof !== 'none') {
    const reason = 'post-copy had begun, and the destination may have run the guest for a while';
    throw godwitError('GODWIT_HELD', { guest: context.request.request.guest, reason });
  }
  const askDestination = isPostcopy ? refusalOnly : refusalOrProof;
  const permission = await permissionHere(context, claim, askDestination, signal);
  // A guest that its owner, itself or a fault stopped is left so: the order to run it again is its owner's.
  if (context.state().halted !== undefined) return {};
  if (status.halt !== undefined && !mayBeOwnPause(status.halt)) return {};
  if (isMemoryStale(context.state())) {
    if (session.startFromDisks !== undefined) {
      await session.startFromDisks(permission, signal);
      return { fromDisks: true };
    }
    // A person who was shown this may decide that the processes go on all the same, whatever else the order rests on: a hook
    // that is called again proves again that the destination is off, and one that is back refuses.
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
