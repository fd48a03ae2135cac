import { systemClock } from '../../../../clock.ts';
import { godwitError } from '../../../../errors.ts';
import type { StepContext } from '../ports.ts';

/** Between two looks at whether the path of the disks still stands while the guest is being stopped. */
const GUARD_MS = 20;
/** A session whose link was reset stands again within so long, and some round trips more, ms. */
const JOIN_MS = 100;
const JOIN_ROUND_TRIPS = 4;
/** The guest is paused for longer than this for no link, ms. */
const MAX_CUT_MS = 1000;

/** Waits until the path of the disks has a link, the guest running; GODWIT_DISK_FAILED once it is lost. */
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
 * Minds the copies of disks until the hypervisor holds the switch to post-copy; GODWIT_DISK_FAILED once their path is
 * lost. To stop the guest QEMU flushes the copies; where it cannot, it says nothing, tries again while the guest stands
 * still, and has its migration fail at the very end for it (10.0 seen): then the guest would be in two halves.
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

/** Ends the copies, the guest paused: GODWIT_DISK_FAILED as soon as that is in vain, since their path is lost. */
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

/** GODWIT_DISK_FAILED where there are copies and no path for them; a mover that takes over has none yet. */
export function assertDisksOpen(context: StepContext<'disks'>): void {
  const [copy] = context.state().known.copies ?? [];
  if (copy !== undefined && !context.disks.copies.isOpen) throw pathLost(context);
}

/** A paused guest does not wait for its mover there to be replaced: nothing was handed over, so it may run on here at once. */
function assertLinked(context: StepContext<'disks'>): void {
  const { cutForMs, roundTripMs } = context.disks.copies.link ?? {};
  if (cutForMs === undefined || roundTripMs === undefined) return;
  if (cutForMs <= Math.min(JOIN_MS + JOIN_ROUND_TRIPS * roundTripMs, MAX_CUT_MS)) return;
  // The hypervisor waits for the path to take something, and hears of nothing else until it is gone.
  context.disks.copies.abort('it had no link while the guest was paused');
  throw pathLost(context);
}

function pathLost(context: StepContext<'disks'>): Error {
  const { guest } = context.request.request;
  const [copy] = context.state().known.copies ?? [];
  const reason = 'its path was lost at the switch';
  return godwitError('GODWIT_DISK_FAILED', { guest, device: copy?.node ?? 'of the guest', reason });
}

/** A try to stop the guest that failed: QEMU would come to fail for it once the guest is in two halves. */
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
