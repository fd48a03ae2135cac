import type { Fencing } from '../../../../host/fencing.ts';
import type { Log } from '../../../../log.ts';
import type { SourceMoverRequest } from '../../../../protocol/mover/request.ts';
import type { Surroundings } from '../../../engine/surroundings.ts';
import type { Coordinator } from '../coordinator.ts';
import { recoverPostcopy } from '../stream/recover.ts';
import { unproved } from '../source-base.ts';
import type { SourceContext } from '../source-context.ts';

/** A destination that was shown to be off will not be recovered: that record says more than the failure. */
export async function recoverOrProve(
  context: SourceContext,
  limitMs: number,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  try {
    await recoverPostcopy(context, limitMs, log, signal);
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    const fencing = await context.fence(signal);
    if (fencing?.off !== true) throw unproved(thrown, fencing);
  }
}

/** Asks for the proof that the destination's host is off; it is journaled before anything follows from it. */
export async function proveOff(
  coordinator: Pick<Coordinator, 'state' | 'record'>,
  { peer }: Pick<SourceMoverRequest, 'peer'>,
  { fence, log, bootTime }: Pick<Surroundings, 'fence' | 'log' | 'bootTime'>,
  signal: AbortSignal,
): Promise<Fencing | undefined> {
  const { plan, known } = coordinator.state;
  const { id, guest, to } = plan;
  const { address, addresses: further = [] } = peer;
  const reported = [known.moverAddress, known.memoryAddress].filter((each) => each !== undefined);
  const addresses = [address, ...further, ...reported];
  const answer = await fence?.(to, { id, guest, side: 'destination', addresses }, signal);
  if (answer === undefined) return undefined;
  if (signal.aborted) return { off: false, why: 'nobody waited for the proof' };
  log.warn({ host: to, ...answer }, 'fencing hook called');
  if (answer.off) {
    await coordinator.record({ type: 'fenced', host: to, by: answer.by, ...bootTime() });
  }
  return answer;
}
