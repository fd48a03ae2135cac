import { z } from 'zod';
import { withDeadline } from '../../../../deadline.ts';
import type { StartPermission } from '../../../../migration/permission/permission.ts';
import type { Launch } from '../../../../protocol/mover/handle.ts';
import type { GuestHandle } from '../../../../port/inventory.ts';
import { refuseOverlaid } from '../../overlaid.ts';
import type { HostAnswer } from '../../../../migration/permission/host-answer.ts';
import { godwitError, hasCode } from '../../../../errors.ts';
import { guestEndingMs } from '../../../../migration/direct/source/ending-times.ts';
import { permissionHere, type PermissionContext } from './permission.ts';
import { ask, tearDown, type MigrationRun } from '../source-base.ts';
import type { HypervisorPort, StepContext } from '../ports.ts';

/** Time for the destination to report on its copy, ms. */
const WORD_MS = 20_000;
/** Time to end a copy, here or there, without freeing its memory, ms. */
const END_MS = 30_000;

/**
 * Restarts a guest whose memory was lost, after the destination's copy is proven gone and the rest here is ended.
 * Repeatable: a started guest is found again.
 */
export async function restartGuest(
  context: StepContext<'peer' | 'hypervisor' | 'network' | 'host'>,
  signal: AbortSignal,
): Promise<GuestHandle> {
  const { known, plan } = context.state();
  const { launch } = known;
  if (launch === undefined) throw cannot(context, 'how it was started is not known');
  const claim = { kind: 'restart', bootId: plan.bootId } as const;
  const permission = await permissionHere(context, claim, copyThereIsGone, signal);
  await withDeadline('ending the rest of the guest', endMs(context), signal, (bounded) =>
    endRemains(context.hypervisor, bounded),
  );
  const handle = await relaunch(context, launch, permission, signal);
  await context.network.restore(signal);
  return handle;
}

function endMs(context: MigrationRun): number {
  return END_MS + guestEndingMs(context.state());
}

async function endRemains(hypervisor: HypervisorPort, signal: AbortSignal): Promise<void> {
  try {
    const session = await hypervisor.session(signal);
    await session.quit(signal);
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) throw thrown;
  }
}

/** The destination reports that its hypervisor is gone, or its host is proved off. Otherwise GODWIT_RESTART. */
async function copyThereIsGone(
  context: PermissionContext,
  signal: AbortSignal,
): Promise<HostAnswer> {
  const { plan } = context.state();
  let why: string;
  try {
    if (await isBuried(context, signal)) return { is: 'without' };
    const { hypervisor, state } = await withDeadline(
      `the state of its copy at ${plan.to}`,
      WORD_MS,
      signal,
      (bounded) => ask(context, bounded, (api) => api.status({}, { signal: bounded })),
    );
    if (hypervisor === 'gone' || state === 'released' || state === 'refused') {
      return { is: 'without' };
    }
    why = `its copy at ${plan.to} is still there (${hypervisor})`;
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) throw thrown;
    const fencing = await context.host.fence(signal);
    if (fencing?.off === true) return { is: 'off', by: fencing.by, at: context.host.bootTime() };
    const besides = fencing === undefined ? '' : `: ${fencing.why}`;
    why = `${plan.to} does not answer, and nothing proves that it is off${besides}`;
  }
  throw cannot(context, why);
}

/** Removes the destination's remains, whose memory is incomplete; false if they are whole. */
async function isBuried(context: StepContext<'peer'>, signal: AbortSignal): Promise<boolean> {
  try {
    await withDeadline('taking down what is left', endMs(context), signal, (bounded) =>
      tearDown(context, bounded),
    );
    return true;
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_NOT_ARMED')) throw thrown;
    return false;
  }
}

/**
 * Starts the guest's hypervisor again. GODWIT_DISK_OVERLAID if it would write to an image that another one is based
 * on.
 */
export async function relaunch(
  { request, hypervisor, host }: StepContext<'hypervisor' | 'host'>,
  launch: Launch,
  permission: StartPermission,
  signal: AbortSignal,
): Promise<GuestHandle> {
  // Missing in a record of an earlier build.
  const files = z.array(z.string()).safeParse(launch.writes).data ?? [];
  const written = files.map((file) => ({ name: file, file }));
  await refuseOverlaid(host.config, { guest: request.handle.name, written, files }, signal);
  return hypervisor.relaunch(launch, permission, signal);
}

function cannot(context: MigrationRun, reason: string): Error {
  const { guest, from } = context.state().plan;
  return godwitError('GODWIT_RESTART', { guest, host: from, reason });
}
