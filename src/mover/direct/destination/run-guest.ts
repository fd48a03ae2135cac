import type { DestinationSession } from '../../../drivers/port/direct.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { comesCold } from '../../../migration/direct/cold.ts';
import { judgeCall } from '../../../migration/direct/destination.ts';
import type { Ledger } from './ledger.ts';

/**
 * Runs the guest, which has been committed here. Where its hypervisor ends instead, and provably before it ran the guest,
 * that is written down and the commit is refused after all: the source takes the guest back.
 */
export async function runGuest(
  session: DestinationSession,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (comesCold(ledger.state)) await startCold(session, ledger, signal);
    await session.resumeGuest(signal);
  } catch (thrown) {
    const mayAsk = hasCode(thrown, 'GODWIT_HYPERVISOR_LOST') && session.neverRan !== undefined;
    const neverRan = mayAsk && (await session.neverRan?.(signal).catch(() => false));
    if (neverRan !== true) throw thrown;
    const { epoch } = ledger.state.admission;
    await ledger.record({ type: 'never-ran', epoch, why: thrown.message });
    const verdict = judgeCall(ledger.state, 'commit', epoch);
    throw verdict.kind === 'no' ? verdict.error : thrown;
  }
}

/** Once it has run here it is never started anew: what has ended since has ended. */
async function startCold(
  session: DestinationSession,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<void> {
  const { hasRun, memoryAddress } = ledger.state;
  if (hasRun) return;
  if (session.startCold === undefined || memoryAddress === undefined) {
    throw godwitError('GODWIT_INTERNAL', { what: 'a cold move to a driver that knows none' });
  }
  const handle = await session.startCold(signal);
  await ledger.record({ type: 'prepared', handle, memoryAddress });
}
