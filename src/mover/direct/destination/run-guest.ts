import type { DestinationSession } from '../../../port/direct.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import type { Clock } from '../../../clock.ts';
import { comesCold, isToBeStarted } from '../../../migration/direct/cold.ts';
import { judgeCall, type DestinationState } from '../../../migration/direct/destination.ts';
import type { HypervisorStatus } from '../../../migration/direct/hypervisor.ts';
import type { StartPermission } from '../../../migration/permission/permission.ts';
import type { Running } from '../../../protocol/peer/migration.ts';
import type { Ledger } from './ledger.ts';

/** A hypervisor whose main loop waits for a page answers nothing until the source's call for a new stream is heard, ms. */
export const ANSWERS_MS = 2000;
/** A hypervisor that ends closes its monitor before its process is gone; the source waits 5 s for an answer, ms. */
export const ENDS_MS = 4500;

/**
 * Runs the guest, which has been committed here. Where its hypervisor ends instead, and provably before it ran the guest,
 * that is written down and the commit is refused after all: the source takes the guest back. Where it ended after it ran
 * the guest, the guest has run here, and its loss is for the source to find.
 *
 * `committedBefore`: an earlier mover had the commit. It may have started a cold guest and died, with its host or alone,
 * before the record was on the disk: what this session knows of its own hypervisor proves nothing then.
 */
export async function runGuest(
  session: DestinationSession,
  ledger: Ledger,
  permission: StartPermission,
  signal: AbortSignal,
  committedBefore = false,
): Promise<void> {
  try {
    if (comesCold(ledger.state)) await startCold(session, ledger, permission, signal);
    await session.resumeGuest(permission, signal);
  } catch (thrown) {
    const isGone = hasCode(thrown, 'GODWIT_HYPERVISOR_LOST');
    // It said that it ran the guest before it ended, whatever became of the order to run it.
    if (isGone && ledger.state.hasRun) return;
    const mayHaveStarted = committedBefore && comesCold(ledger.state);
    const mayAsk = isGone && !mayHaveStarted && session.neverRan !== undefined;
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
  permission: StartPermission,
  signal: AbortSignal,
): Promise<void> {
  const { hasRun, memoryAddress } = ledger.state;
  if (hasRun) return;
  if (session.startCold === undefined || memoryAddress === undefined) {
    throw godwitError('GODWIT_INTERNAL', { what: 'a cold move to a driver that knows none' });
  }
  const handle = await session.startCold(permission, signal);
  await ledger.record({ type: 'prepared', handle, memoryAddress });
}

/** What the source is answered once the guest runs here. `began`: when the commit came, by the monotonic clock, ms. */
export function runningSince(clock: Clock, epoch: number, began: number): Running {
  const resumeMs = Math.max(0, clock.monotonicMs() - began);
  return { epoch, runningAt: new Date(clock.wallMs()).toISOString(), resumeMs };
}

/** Asks the hypervisor whether it is still there, and writes its end down; false where it gives no answer in time. */
export async function lookAt(
  session: DestinationSession,
  ledger: Ledger,
  withinMs: number,
): Promise<boolean> {
  const status = await session.status(AbortSignal.timeout(withinMs)).catch(() => undefined);
  await noteHalt(ledger, status?.halt);
  const isOver = ledger.state.hypervisor === 'gone' || isToBeStarted(ledger.state);
  if (status?.run !== 'gone' || isOver) return status !== undefined;
  const { reason = 'its process has ended' } = status;
  await ledger.record({ type: 'hypervisor', event: { type: 'lost', reason } });
  return true;
}

/** A guest that has run here and is stopped, of which no event was heard: it arrived so, or no mover listened. */
async function noteHalt(ledger: Ledger, halt: HypervisorStatus['halt']): Promise<void> {
  const { hasRun, halted } = ledger.state;
  if (!hasRun || halt === undefined || halt.kind === halted?.kind) return;
  await ledger.record({ type: 'hypervisor', event: { type: 'stopped', halt } });
}

/**
 * Whether the guest runs here: an earlier mover may have died between the order to run it and its record, which is written
 * now. GODWIT_HELD if its hypervisor gives no answer: then it is not known.
 */
export async function runsHere(
  session: DestinationSession,
  ledger: Ledger,
  signal: AbortSignal,
): Promise<boolean> {
  if (ledger.state.hasRun) return true;
  const { guest } = ledger.state.admission;
  const { run } = await session.status(signal).catch((cause: unknown) => {
    const reason = 'its hypervisor does not answer, and may run it';
    throw godwitError('GODWIT_HELD', { guest, reason }, { cause });
  });
  if (run !== 'running') return false;
  await ledger.record({ type: 'hypervisor', event: { type: 'resumed' } });
  return true;
}

/**
 * GODWIT_LOST where the hypervisor has ended: a migration is not called done of a guest that is known to be gone. After a
 * takeover the guest may have ended long after its migration.
 */
export function mustLive(
  { hypervisor, admission, error }: DestinationState,
  tookOver: boolean,
): void {
  if (hypervisor !== 'gone' || tookOver) return;
  const reason = error?.message ?? 'its hypervisor at the destination ended';
  throw godwitError('GODWIT_LOST', { guest: admission.guest, reason });
}
