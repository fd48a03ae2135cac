import { setTimeout as sleep } from 'node:timers/promises';
import { godwitError } from '../../../errors.ts';
import type { SourceContext } from './source-context.ts';

/** Between two looks at whether the path of the disks still stands while the guest is being stopped. */
const GUARD_MS = 20;

/**
 * Minds the copies of disks until the hypervisor holds the switch to post-copy; GODWIT_DISK_FAILED once their path is
 * lost. To stop the guest QEMU flushes the copies; where it cannot, it says nothing, tries again while the guest stands
 * still, and has its migration fail at the very end for it (10.0 seen): then the guest would be in two halves.
 */
export async function guardPostcopy(context: SourceContext, signal: AbortSignal): Promise<void> {
  while (mayStop(context)) {
    assertDisksOpen(context);
    await sleep(GUARD_MS, undefined, { signal });
  }
}

/** GODWIT_DISK_FAILED where there are copies and no path for them; a mover that takes over has none yet. */
export function assertDisksOpen(context: SourceContext): void {
  const [copy] = context.state().known.copies ?? [];
  if (copy === undefined || context.disks.isOpen) return;
  const { guest } = context.request.request;
  const reason = 'its path was lost at the switch';
  throw godwitError('GODWIT_DISK_FAILED', { guest, device: copy.node, reason });
}

/** A try to stop the guest that failed: QEMU would come to fail for it once the guest is in two halves. */
export async function assertStopped(context: SourceContext, signal: AbortSignal): Promise<void> {
  const { via, plan, known } = context.state();
  if (via !== 'postcopy' || (known.copies ?? []).length === 0) return;
  const { reason } = await (await context.guest.session(signal)).status(signal);
  if (reason === undefined) return;
  throw godwitError('GODWIT_STREAM_FAILED', { guest: plan.guest, reason });
}

function mayStop(context: SourceContext): boolean {
  const { doing, via, known } = context.state();
  const switches = doing.kind === 'do' && doing.step === 'switchover' && via === 'postcopy';
  return switches && (known.copies ?? []).length > 0 && !context.disks.isFinishing;
}
