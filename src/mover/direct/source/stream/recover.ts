import { withDeadline } from '../../../../deadline.ts';
import { systemClock } from '../../../../clock.ts';
import type { SourceSession } from '../../../../port/direct.ts';
import { godwitError, toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import { ask, unproved } from '../source-base.ts';
import type { StepContext } from '../ports.ts';

/** Between two tries, ms. */
const AGAIN_MS = 250;
/** From the order to connect until memory flows; then the path is taken for dead, ms. */
const FLOWS_MS = 5000;
/** Between two looks at a stream that is being resumed, ms. */
const LOOK_MS = 25;
/** How long the destination may take to close the old connection and to listen, ms. */
const LISTEN_MS = 10_000;

/**
 * Resumes a post-copy stream that is broken, or is stalled in a link that says nothing of it: over the first
 * path to the destination that answers, the destination listens anew, and the source connects anew. Only then does the
 * source close the old connection: as long as no path is open, TCP may still bring the stream back by itself.
 * Tries until it works or `limitMs` is over; a connection that breaks again is a new event and a new call.
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
 * `back`: bytes move again, or the stream has ended, without anybody's help. `all-sent`: only the last bytes are in
 * flight, which QEMU sends no second time: TCP brings them, or nobody.
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

/** One try over the path in use; false where the new connection did not come to life. */
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
    // Before 8.2 it is still called paused until the connection is there.
    if (left && stream !== 'postcopy-recovering') return false;
    if (systemClock.monotonicMs() > until) return false;
    await systemClock.sleep(LOOK_MS, signal);
  }
}

/** A destination that was shown to be off will not be recovered: that record says more than the failure. */
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
