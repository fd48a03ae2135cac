import { withDeadline } from '../../../../deadline.ts';
import { systemClock } from '../../../../clock.ts';
import type { SourceSession } from '../../../../port/direct.ts';
import { godwitError, toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import { ask, unproved } from '../source-base.ts';
import type { StepContext } from '../ports.ts';

const AGAIN_MS = 250;
/** Longest time from the connect order to flowing memory; the path then counts as dead, ms. */
const FLOWS_MS = 5000;
const LOOK_MS = 25;
/** Time for the destination to close the old connection and to listen, ms. */
const LISTEN_MS = 10_000;

/**
 * Resumes a post-copy stream that is broken, or stalled in a silent link. Over the first path that answers, the
 * destination listens again and the source connects again. Only then is the old connection closed, because TCP may
 * still revive it while no path is open. Repeats until it works or `limitMs` is over.
 */
export async function recoverPostcopy(
  context: StepContext<'peer' | 'hypervisor' | 'dataPath'>,
  limitMs: number,
  log: Log,
  outer: AbortSignal,
): Promise<void> {
  if (!context.hypervisor.capabilities.postcopyRecovery) {
    const reason = 'its driver cannot resume a stream that broke';
    throw godwitError('GODWIT_CAPABILITY', { what: 'post-copy to go on', reason });
  }
  await withDeadline('recovering post-copy', limitMs, outer, async (signal) => {
    const session = await context.hypervisor.session(signal);
    const { transferredBytes: sentBefore } = await session.sample(signal);
    for (;;) {
      try {
        const found = await look(session, sentBefore, signal);
        if (found === 'back') return;
        const isOpen = found === 'still' && (await context.peer.choose(signal));
        if (isOpen && (await takeUp(context, session, signal))) {
          context.dispatch({ type: 'flows', over: context.peer.address });
          return;
        }
      } catch (thrown) {
        if (signal.aborted) throw thrown;
        log.info({ error: toGodwitError(thrown) }, 'the stream could not be resumed');
      }
      await systemClock.sleep(AGAIN_MS, signal);
    }
  });
}

/**
 * `back`: the stream recovered or ended by itself. `all-sent`: only the last bytes are in flight, which QEMU never
 * sends again, so only TCP can deliver them.
 */
async function look(
  session: SourceSession,
  sentBefore: number,
  signal: AbortSignal,
): Promise<'back' | 'all-sent' | 'still'> {
  const { stream, run } = await session.status(signal);
  if (stream === 'completed' || run === 'gone') return 'back';
  if (stream !== 'postcopy-active') return 'still';
  const { transferredBytes, remainingBytes } = await session.sample(signal);
  if (transferredBytes > sentBefore) return 'back';
  return remainingBytes === 0 ? 'all-sent' : 'still';
}

/** One attempt over the current path; false if the new connection did not work. */
async function takeUp(
  context: StepContext<'peer' | 'hypervisor' | 'dataPath'>,
  session: SourceSession,
  signal: AbortSignal,
): Promise<boolean> {
  const body = { epoch: context.state().plan.epoch };
  const facts = await withDeadline('the destination to listen anew', LISTEN_MS, signal, (bounded) =>
    ask(context, bounded, async (api, route) => {
      const answer = await api.recover({ body }, { signal: bounded, deadlineMs: LISTEN_MS });
      return { ...answer, memoryAddress: route(answer.memoryAddress) };
    }),
  );
  const { address, tlsHostname } = await context.dataPath.open(facts, signal);
  await session.recover(address, tlsHostname, signal);
  let left = false;
  for (const until = systemClock.monotonicMs() + FLOWS_MS; ;) {
    const { stream } = await session.status(signal);
    if (stream === 'postcopy-active' || stream === 'completed') return true;
    left ||= stream === 'postcopy-recovering';
    // QEMU before 8.2 reports paused until the connection exists.
    if (left && stream !== 'postcopy-recovering') return false;
    if (systemClock.monotonicMs() > until) return false;
    await systemClock.sleep(LOOK_MS, signal);
  }
}

/** A proof that the destination is off explains more than the failure. */
export async function recoverOrProve(
  context: StepContext<'peer' | 'hypervisor' | 'dataPath' | 'host'>,
  limitMs: number,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  try {
    await recoverPostcopy(context, limitMs, log, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const fencing = await context.host.fence(signal);
    if (fencing?.off !== true) throw unproved(thrown, fencing);
  }
}
