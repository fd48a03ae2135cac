import { GodwitError, godwitError } from '../../../../errors.ts';
import { haltError } from '../../../../migration/guest-changes/errors.ts';
import { sessionIfThere, type UndoFacts } from '../source-base.ts';
import { permissionHere, refusalOrProof, takeBackClaim } from './permission.ts';
import { relaunch } from './restart.ts';
import type { HypervisorPort, StepContext } from '../ports.ts';

/** Moves a guest without its memory: it shuts down here and boots at the destination. */

/** Time for a guest that is shutting down to finish, before it is started again, ms. */
const GOES_DOWN_MS = 60_000;

/** Resolves with the guest shut down and its disks equal at both hosts. */
export async function shutDown(
  { state, hypervisor, dataPath, disks }: StepContext<'hypervisor' | 'dataPath' | 'disks'>,
  signal: AbortSignal,
): Promise<void> {
  const session = await hypervisor.session(signal);
  if (session.shutDown === undefined) throw cannot();
  const { halt } = await session.status(signal);
  // A guest that its owner stopped does not shut down. A guest that is down was shut down by an earlier mover.
  if (halt !== undefined && halt.kind !== 'shut-down') {
    throw new GodwitError(haltError(state().plan.guest, halt));
  }
  await Promise.all([session.shutDown(signal), disks.copies.keep(signal)]);
  await disks.copies.finish(signal);
  if (session.sendFiles === undefined) return;
  const { address, tlsHostname } = await dataPath.open(state().known, signal);
  await session.sendFiles(dataPath.setup(), address, tlsHostname, signal);
}

/** Ends the hypervisor of the guest that is down, which releases its disks. */
export async function endSource(hypervisor: HypervisorPort, signal: AbortSignal): Promise<void> {
  const session = await sessionIfThere(hypervisor, signal);
  if (session?.waitsForRetire !== true) await session?.quit(signal);
}

/**
 * Resolves with the guest running here, either never shut down or started again. GODWIT_RUNS_ELSEWHERE if another
 * host has it; GODWIT_HELD if safety is not proven.
 */
export async function startAgain(
  context: StepContext<'peer' | 'hypervisor' | 'host'>,
  signal: AbortSignal,
): Promise<UndoFacts> {
  const session = await sessionIfThere(context.hypervisor, signal);
  const run = session === undefined ? 'gone' : (await session.status(signal)).run;
  const { launch } = context.state().known;
  if (run === 'gone' && launch === undefined) throw cannot();
  const claim = takeBackClaim(context.state(), false);
  const permission = await permissionHere(context, claim, refusalOrProof, signal);
  if (run === 'gone' && launch !== undefined) {
    await relaunch(context, launch, permission, signal);
    return { anew: true };
  }
  await session?.startAgain?.(GOES_DOWN_MS, permission, signal);
  return {};
}

function cannot(): Error {
  const reason = 'the guest’s driver cannot shut it down and start it';
  return godwitError('GODWIT_CAPABILITY', { what: '--mode cold', reason });
}
