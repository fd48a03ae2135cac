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
export async function guardPostcopy(parts: SourceContext, signal: AbortSignal): Promise<void> {
  while (mayStop(parts)) {
    assertDisksOpen(parts);
    await sleep(GUARD_MS, undefined, { signal });
  }
}

/** GODWIT_DISK_FAILED where there are copies and no path for them; a mover that takes over has none yet. */
export function assertDisksOpen(parts: SourceContext): void {
  const [copy] = parts.state().known.copies ?? [];
  if (copy === undefined || parts.disks.isOpen) return;
  const { guest } = parts.request.request;
  const reason = 'its path was lost at the switch';
  throw godwitError('GODWIT_DISK_FAILED', { guest, device: copy.node, reason });
}

/** A try to stop the guest that failed: QEMU would come to fail for it once the guest is in two halves. */
export async function assertStopped(parts: SourceContext, signal: AbortSignal): Promise<void> {
  const { via, plan, known } = parts.state();
  if (via !== 'postcopy' || (known.copies ?? []).length === 0) return;
  const { reason } = await (await parts.guest.session(signal)).status(signal);
  if (reason === undefined) return;
  throw godwitError('GODWIT_STREAM_FAILED', { guest: plan.guest, reason });
}

function mayStop(parts: SourceContext): boolean {
  const { doing, via, known } = parts.state();
  const switches = doing.kind === 'do' && doing.step === 'switchover' && via === 'postcopy';
  return switches && (known.copies ?? []).length > 0 && !parts.disks.isFinishing;
}
