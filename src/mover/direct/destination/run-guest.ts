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
} from '../../../migration/direct/destination.ts';
import type { HypervisorStatus } from '../../../migration/direct/hypervisor.ts';
import type { StartPermission } from '../../../migration/permission/permission.ts';
import type { DestinationStatus, Running } from '../../../protocol/peer/migration.ts';
import type { FirstFrame } from './first-frame.ts';
import type { Ledger } from './ledger.ts';
import { settleTunnels } from './ports.ts';
import { plugAll } from './verify.ts';

/** A hypervisor whose main loop waits for a page answers nothing until the source's call for a new stream is heard, ms. */
export const ANSWERS_MS = 2000;
/** A hypervisor that ends closes its monitor before its process is gone; the source waits 5 s for an answer, ms. */
export const ENDS_MS = 4500;

/** One monitor command, ms. */
const GIVING_BACK_MS = 10_000;

interface Welcoming {
  readonly config: AgentConfig;
  readonly log: Log;
  readonly firstFrame: Pick<FirstFrame, 'isMissingOn' | 'report'>;
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

/** GODWIT_LOST if the hypervisor has ended: a migration is not called done if its guest is known to be gone. */
export function mustLive({ hypervisor, admission, error }: DestinationState): void {
  if (hypervisor !== 'gone') return;
  const reason = error?.message ?? 'its hypervisor at the destination ended';
  throw godwitError('GODWIT_LOST', { guest: admission.guest, reason });
}

/** Shorter than the source waits for the whole answer, ms. */
const COUNT_MS = 2000;

/** What this side knows, with what only its hypervisor has counted. */
export async function reportedStatus(
  { firstFrame }: Pick<Welcoming, 'firstFrame'>,
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

/** The guest runs here: begins to give its memory back, and resolves once the network was told where it is. Never rejects. */
export function welcome(
  session: DestinationSession,
  state: DestinationState,
  { config, log, firstFrame }: Welcoming,
): Promise<void> {
  // Now, as the end may be long in coming; `settle` does it again.
  giveBack(session, state, AbortSignal.timeout(GIVING_BACK_MS)).catch((error: unknown) =>
    log.warn({ error: toGodwitError(error) }, 'its balloon still holds memory'),
  );
  void runLateHook(config, 'after-resume', () => hookFacts(state, config), log);
  return announceTo(session, state, { log, firstFrame });
}

/** Never rejects: the guest’s own next frame announces it, too. */
async function announceTo(
  session: DestinationSession,
  state: DestinationState,
  { firstFrame, log }: Omit<Welcoming, 'config'>,
): Promise<void> {
  const signal = AbortSignal.timeout(10_000);
  try {
    await session.announce(signal);
    // Only a NIC whose link is down has sent nothing by now. Its owner may set it up when no mover listens any more.
    if (firstFrame.isMissingOn(Object.values(state.ports))) {
      await session.announceForLong?.(signal);
    }
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'not announced');
  }
  await settleTunnels(state, log);
}

/** The guest gets again what its balloon was asked for at the source, before it came (`--balloon`). */
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

/** Where the source died before it asked for them: the guest gets them all the same, and no report says it. */
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
