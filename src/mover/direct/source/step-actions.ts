import { systemClock } from '../../../clock.ts';
import { withDeadline } from '../../../deadline.ts';
import { godwitError } from '../../../errors.ts';
import { decide, type StepAction } from '../../../migration/direct/source/decide.ts';
import type { StepFacts } from '../../../migration/direct/source/source-state.ts';
import { defined } from '../../../protocol/defined.ts';
import { withHalt } from '../../../protocol/guest-halt.ts';
import type { DestinationStatus } from '../../../protocol/peer/migration.ts';
import { assertStopped, finishDisks } from './stream/guard-postcopy.ts';
import { ask, sessionIfThere } from './source-base.ts';
import type { StepContext } from './ports.ts';

const LAST_LOOK_MS = 500;

/** Asks again for a guest that had sent nothing at the first look. */
export async function firstFrame(
  context: StepContext<'peer' | 'host'>,
  signal: AbortSignal,
): Promise<StepFacts> {
  const isOff = context.host.config.network.probe === 'off';
  if (isOff || context.state().known.firstFrameMs !== undefined) return {};
  const status = ask(context, signal, (api) => api.status({}, { signal, deadlineMs: 2000 }));
  const { firstFrameMs } = await status.catch(() => ({ firstFrameMs: undefined }));
  return firstFrameMs === undefined ? {} : { firstFrameMs };
}

export function seenThere(status: DestinationStatus): StepFacts {
  const { firstFrameMs, postcopyWaitedMs, ended, halted } = status;
  return {
    ...defined({ ended }),
    ...withHalt({ halted }),
    ...defined({ firstFrameMs, postcopyWaitedMs }),
  };
}

/** Guest paused at the switchover: sends the rest, disks first. */
export async function continueSwitchover(
  context: StepContext<'hypervisor' | 'disks'>,
  signal: AbortSignal,
): Promise<void> {
  const { hypervisor } = context;
  const session = await hypervisor.session(signal);
  // In parallel, because the guest waits for both.
  await Promise.all([finishDisks(context, signal), hypervisor.changes.assertSame(signal)]);
  await assertStopped(context, signal);
  await session.continueSwitchover(signal);
}

/** Result of a rehearsal. The guest may be paused, so there is one question and no wait. */
export async function lastLook(
  { state, dispatch, hypervisor }: StepContext<'hypervisor'>,
  signal: AbortSignal,
): Promise<void> {
  if (state().cameTo === undefined) return;
  const look = withDeadline('the last look', LAST_LOOK_MS, signal, async (bounded) =>
    (await hypervisor.session(bounded)).sample(bounded),
  );
  const sample = await look.catch(() => undefined);
  if (sample !== undefined) dispatch({ type: 'measured', sample, final: true });
}

/** Remaining work of a step; after a takeover or for a retry, looks first. */
export async function actionOf(
  context: StepContext<'hypervisor'>,
  step: 'memory' | 'switchover',
  signal: AbortSignal,
): Promise<StepAction> {
  const isFirst = !context.tookOver() && context.state().attempts === 0;
  if (isFirst) return decide(context.state(), step);
  const { stream, reason } = await context.hypervisor.status(signal);
  const action = decide(context.state(), step, stream);
  if (action !== 'broken') return action;
  throw godwitError('GODWIT_STREAM_FAILED', {
    guest: context.request.request.guest,
    reason: reason ?? 'it ended while no mover listened',
  });
}

/** Time for data in flight to arrive, ms; a lost link is noticed in that time. */
const ARRIVES_MS = 10_000;
const LOOK_MS = 50;

/**
 * `drain` ends with the hypervisor's events. If its stream failed or it ended, only the destination knows whether all
 * memory had been sent. GODWIT_LOST if not.
 */
export async function drained(
  context: StepContext<'peer' | 'hypervisor'>,
  signal: AbortSignal,
): Promise<void> {
  const why = await brokenBy(context, signal);
  if (why === undefined) return;
  const until = systemClock.monotonicMs() + ARRIVES_MS;
  for (;;) {
    const there = await ask(context, signal, (api) => api.status({}, { signal, deadlineMs: 5000 }));
    if (there.hypervisor === 'running') break;
    if (there.hypervisor !== 'postcopy' || systemClock.monotonicMs() > until) {
      const reason = `post-copy ended early: ${why}`;
      throw godwitError('GODWIT_LOST', { guest: context.request.request.guest, reason });
    }
    await systemClock.sleep(LOOK_MS, signal);
  }
  context.dispatch({ type: 'hypervisor', event: { type: 'completed' } });
}

async function brokenBy(
  { state, hypervisor }: StepContext<'hypervisor'>,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { stream } = state();
  if (stream === 'failed') return 'its stream broke before all memory had left its source';
  if (stream !== 'lost' && (await sessionIfThere(hypervisor, signal)) !== undefined)
    return undefined;
  return 'its source died before all memory had left it';
}
