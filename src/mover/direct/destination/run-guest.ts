import type { DestinationSession } from '../../../port/direct.ts';
import { godwitError, hasCode, toGodwitError } from '../../../errors.ts';
import type { AgentConfig } from '../../../config.ts';
import type { HookFacts } from '../../../hooks/hooks.ts';
import { runLateHook } from '../../../hooks/runner.ts';
import type { Log } from '../../../log.ts';
import type { Clock } from '../../../clock.ts';
import { comesCold, isToBeStarted } from '../../../migration/direct/cold.ts';
import {
  judgeCall,
  statusOf,
  type DestinationState,
} from '../../../migration/direct/destination/destination.ts';
import type { HypervisorStatus } from '../../../migration/direct/hypervisor.ts';
import type { StartPermission } from '../../../migration/permission/permission.ts';
import type { DestinationStatus, Running } from '../../../protocol/peer/migration.ts';
import type { FirstFrame } from './first-frame.ts';
import type { Ledger } from './ledger.ts';
import { settleTunnels } from './nic-ports.ts';
import { plugAll } from './verify.ts';

/** Limit, ms: a hypervisor whose main loop waits for a page does not answer until the stream is resumed. */
export const ANSWERS_MS = 2000;
/** Delay between a hypervisor's monitor closing and its process ending, ms; the source waits 5 s. */
export const ENDS_MS = 4500;

const GIVING_BACK_MS = 10_000;

interface Welcoming {
  readonly config: AgentConfig;
  readonly log: Log;
  readonly firstFrame: Pick<FirstFrame, 'isMissingOn' | 'report'>;
}

/**
 * Waits until the guest can run, before its right to run is recorded. A hypervisor that ends first never ran it; the
 * source is told, and can run the guest again.
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

/**
 * Runs the committed guest. If its hypervisor ends provably before it ran the guest, this is recorded and the commit
 * refused: the source takes the guest back. If it ended after running it, the source finds the loss.
 *
 * `committedBefore`: an earlier mover had the commit, may have started a cold guest, and died before the record was
 * on disk. This session's view of its hypervisor then proves nothing.
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
    // It reported that it ran the guest before it ended.
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

/** A guest that has run here is never started again. */
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

/** Answer to the source. `began`: arrival of the commit, monotonic ms. */
export function runningSince(clock: Clock, epoch: number, began: number): Running {
  const resumeMs = Math.max(0, clock.monotonicMs() - began);
  return { epoch, runningAt: new Date(clock.wallMs()).toISOString(), resumeMs };
}

/** Asks whether the hypervisor is there, and records its end; false without an answer in time. */
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

/** Records a halt without an event: the guest arrived halted, or no mover listened. */
async function noteHalt(ledger: Ledger, halt: HypervisorStatus['halt']): Promise<void> {
  const { hasRun, halted } = ledger.state;
  if (!hasRun || halt === undefined || halt.kind === halted?.kind) return;
  await ledger.record({ type: 'hypervisor', event: { type: 'stopped', halt } });
}

/**
 * Checks whether the guest runs here, and records it, since an earlier mover may have died before the record.
 * GODWIT_HELD if its hypervisor does not answer.
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

/** GODWIT_LOST if the hypervisor has ended: a migration is not called done if its guest is known to be gone. */
export function mustLive({ hypervisor, admission, error }: DestinationState): void {
  if (hypervisor !== 'gone') return;
  const reason = error?.message ?? 'its hypervisor at the destination ended';
  throw godwitError('GODWIT_LOST', { guest: admission.guest, reason });
}

/** Shorter than the source waits for the whole answer, ms. */
const COUNT_MS = 2000;

export async function reportedStatus(
  { firstFrame }: Pick<Welcoming, 'firstFrame'>,
  state: DestinationState,
  open: () => Promise<DestinationSession>,
): Promise<DestinationStatus> {
  const status = { ...statusOf(state), ...firstFrame.report() };
  // Only post-copy makes the guest wait for pages.
  if (status.hypervisor !== 'running' || !state.postcopy) return status;
  const asked = open().then((session) => session.status(AbortSignal.timeout(COUNT_MS)));
  const { waitedMs } = await asked.catch(() => ({ waitedMs: undefined }));
  return waitedMs === undefined ? status : { ...status, postcopyWaitedMs: waitedMs };
}

/** Deflates the balloon of the running guest, and resolves once it is announced. Never rejects. */
export function welcome(
  session: DestinationSession,
  state: DestinationState,
  { config, log, firstFrame }: Welcoming,
): Promise<void> {
  // Now, because `settle`, which repeats it, may come late.
  giveBack(session, state, AbortSignal.timeout(GIVING_BACK_MS)).catch((error: unknown) =>
    log.warn({ error: toGodwitError(error) }, 'its balloon still holds memory'),
  );
  void runLateHook(config, 'after-resume', () => hookFacts(state, config), log);
  return announceTo(session, state, { log, firstFrame });
}

/** Never rejects, because the guest's next frame announces it as well. */
async function announceTo(
  session: DestinationSession,
  state: DestinationState,
  { firstFrame, log }: Omit<Welcoming, 'config'>,
): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  try {
    await session.announce(signal);
    // Only a NIC with its link down has sent nothing by now. Its owner may set it up after the last mover.
    if (firstFrame.isMissingOn(Object.values(state.ports))) {
      await session.announceForLong?.(signal);
    }
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'not announced');
  }
  await settleTunnels(state, log);
}

/** Restores memory that the balloon took at the source (`--balloon`). */
export async function giveBack(
  session: DestinationSession,
  { admission, preparation }: DestinationState,
  signal: AbortSignal,
): Promise<void> {
  const memoryBytes = preparation?.description.memoryBytes;
  if (admission.settings?.balloon === undefined || memoryBytes === undefined) return;
  const { run } = await session.status(signal);
  if (run !== 'gone') await session.balloon?.resize(memoryBytes, signal);
}

/** Plugs in devices that a dead source did not ask for; no report mentions them. */
export async function plugLate(
  session: DestinationSession,
  { admission: { settings } }: DestinationState,
  log: Pick<Log, 'warn'>,
  signal: AbortSignal,
): Promise<void> {
  for (const { name, error } of await plugAll(session, settings?.plug ?? [], signal)) {
    if (error !== undefined) log.warn({ name, error }, 'not plugged in');
  }
}

export function hookFacts(
  { admission, preparation, ports }: DestinationState,
  { name: to }: AgentConfig,
): HookFacts {
  const { id: migration, guest, from } = admission;
  const networks = preparation?.networks ?? [];
  const mode = preparation?.stream.mode ?? 'precopy';
  const rehearsal = admission.settings?.rehearse === true ? { rehearsal: true as const } : {};
  return { migration, guest, from, to, mode, ...rehearsal, networks, ports };
}
