import type { DestinationSession } from '../../../port/direct.ts';
import { hasCode, toGodwitError } from '../../../errors.ts';
import {
  judgeCall,
  statusOf,
  type DestinationState,
} from '../../../migration/direct/destination.ts';
import type { DestinationStatus, Prepared } from '../../../protocol/peer/migration.ts';
import type { BuildContext } from './build.ts';
import type { Ledger } from './ledger.ts';

/** The answer to prepare: where memory is waited for, and what the machine is that was made. */
export async function preparedAs(
  { dataPath, log }: BuildContext,
  state: DestinationState,
  session: DestinationSession,
  signal: AbortSignal,
): Promise<Prepared> {
  const reported = await dataPath.prepared(state);
  try {
    const machine = await session.machine?.(signal);
    return machine === undefined ? reported : { ...reported, machine };
  } catch (thrown) {
    signal.throwIfAborted();
    // The source says that it could not be compared; what is wrong with the hypervisor, the next call finds.
    log.warn({ error: toGodwitError(thrown) }, 'what the machine is could not be read');
    return reported;
  }
}

/** Shorter than the source waits for the whole answer, ms. */
const COUNT_MS = 2000;

/** What this side knows, with what only its hypervisor has counted. */
export async function reportedStatus(
  { firstFrame }: Pick<BuildContext, 'firstFrame'>,
  state: DestinationState,
  open: () => Promise<DestinationSession>,
): Promise<DestinationStatus> {
  const status = { ...statusOf(state), ...firstFrame.report() };
  // Only post-copy has the guest wait for pages.
  if (status.hypervisor !== 'running' || !state.postcopy) return status;
  const asked = open().then((session) => session.status(AbortSignal.timeout(COUNT_MS)));
  const { waitedMs } = await asked.catch(() => ({ waitedMs: undefined }));
  return waitedMs === undefined ? status : { ...status, postcopyWaitedMs: waitedMs };
}

/**
 * Before it is written that the guest may run here: waits until it can. A hypervisor that ends instead has not run it and
 * never will, and says so, so that the source can take it back. With pre-copy everything is here by then.
 */
export async function untilReady(
  session: DestinationSession,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<void> {
  const { preparation, right, admission } = ledger.state;
  if (right === 'running' || preparation?.stream.mode === 'precopy') return;
  try {
    await session.ready?.(signal);
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) throw thrown;
    const reason = thrown.message;
    await ledger.record({ type: 'hypervisor', event: { type: 'lost', reason } });
    const verdict = judgeCall(ledger.state, 'commit', admission.epoch);
    throw verdict.kind === 'no' ? verdict.error : thrown;
  }
}
