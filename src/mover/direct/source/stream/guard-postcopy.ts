import { systemClock } from '../../../../clock.ts';
import { godwitError } from '../../../../errors.ts';
import type { StepContext } from '../ports.ts';

/** Interval between looks at the disks' path while the guest is being stopped. */
const GUARD_MS = 20;
/** Time for a session to reconnect after a reset, ms, plus some round trips. */
const JOIN_MS = 100;
const JOIN_ROUND_TRIPS = 4;
const MAX_CUT_MS = 1000;

/** Waits with the guest running until the disks' path has a link; GODWIT_DISK_FAILED once it is lost. */
export async function untilLinked(
  context: StepContext<'disks'>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    assertDisksOpen(context);
    if (context.disks.copies.link?.cutForMs === undefined) return;
    await systemClock.sleep(GUARD_MS, signal);
  }
}

/**
 * Watches disk copies until the hypervisor stops at the switch to post-copy; GODWIT_DISK_FAILED once their path is
 * lost. QEMU flushes the copies to stop the guest. If it cannot, it silently retries with the guest stopped, and
 * fails the migration at the very end (seen in 10.0), which would leave the guest in two halves.
 */
export async function guardPostcopy(
  context: StepContext<'disks'>,
  signal: AbortSignal,
): Promise<void> {
  while (mayStop(context)) {
    assertDisksOpen(context);
    assertLinked(context);
    await systemClock.sleep(GUARD_MS, signal);
  }
}

/** Ends the copies of a paused guest: GODWIT_DISK_FAILED as soon as their path is lost. */
export async function finishDisks(
  context: StepContext<'disks'>,
  signal: AbortSignal,
): Promise<void> {
  if ((context.state().known.copies ?? []).length === 0) return;
  const over = new AbortController();
  const finishing = context.disks.copies.finish(signal);
  const guarding = mindLink(context, AbortSignal.any([signal, over.signal]));
  for (const each of [finishing, guarding]) each.catch(() => {});
  try {
    await Promise.race([finishing, guarding]);
  } finally {
    over.abort();
  }
}

async function mindLink(context: StepContext<'disks'>, signal: AbortSignal): Promise<never> {
  for (;;) {
    await systemClock.sleep(GUARD_MS, signal);
    assertLinked(context);
  }
}

/** GODWIT_DISK_FAILED if there are copies without a path; a mover that takes over has no path yet. */
export function assertDisksOpen(context: StepContext<'disks'>): void {
  const [copy] = context.state().known.copies ?? [];
  if (copy !== undefined && !context.disks.copies.isOpen) throw pathLost(context);
}

/** A paused guest does not wait for a replaced mover, since it can run here at once. */
function assertLinked(context: StepContext<'disks'>): void {
  const { cutForMs, roundTripMs } = context.disks.copies.link ?? {};
  if (cutForMs === undefined || roundTripMs === undefined) return;
  if (cutForMs <= Math.min(JOIN_MS + JOIN_ROUND_TRIPS * roundTripMs, MAX_CUT_MS)) return;
  // The hypervisor blocks on the path until the path is gone.
  context.disks.copies.abort('it had no link while the guest was paused');
  throw pathLost(context);
}

function pathLost(context: StepContext<'disks'>): Error {
  const { guest } = context.request.request;
  const [copy] = context.state().known.copies ?? [];
  const reason = 'its path was lost at the switch';
  return godwitError('GODWIT_DISK_FAILED', { guest, device: copy?.node ?? 'of the guest', reason });
}

/** Detects a failed attempt to stop the guest, before it is in two halves. */
export async function assertStopped(
  { state, hypervisor }: StepContext<'hypervisor'>,
  signal: AbortSignal,
): Promise<void> {
  const { via, plan, known } = state();
  if (via !== 'postcopy' || (known.copies ?? []).length === 0) return;
  const { reason } = await (await hypervisor.session(signal)).status(signal);
  if (reason === undefined) return;
  throw godwitError('GODWIT_STREAM_FAILED', { guest: plan.guest, reason });
}

function mayStop(context: StepContext<'disks'>): boolean {
  const { doing, via, known } = context.state();
  const switches = doing.kind === 'do' && doing.step === 'switchover' && via === 'postcopy';
  return switches && (known.copies ?? []).length > 0 && !context.disks.copies.isFinishing;
}
