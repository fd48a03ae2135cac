import { systemClock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import type { SourceParts } from './parts.ts';

/** Between two tries, ms. */
const AGAIN_MS = 1000;

/**
 * Takes a broken post-copy stream up again: the destination listens anew, the source connects anew.
 * Tries until it works or `limitMs` is over; a connection that breaks again is a new event and a new call.
 */
export async function recoverPostcopy(
  parts: SourceParts,
  limitMs: number,
  outer: AbortSignal,
): Promise<void> {
  await withDeadline('recovering post-copy', limitMs, outer, async (signal) => {
    const body = { epoch: parts.state().plan.epoch };
    for (;;) {
      try {
        const { memoryAddress, tlsHostname } = await parts.peer.call(
          parts.request.id,
          signal,
          (api) => api.recover({ body }, { signal, deadlineMs: 10_000 }),
        );
        const session = await parts.guest.session(signal);
        await session.recover(memoryAddress, tlsHostname, signal);
        return;
      } catch (thrown) {
        if (signal.aborted) throw thrown;
      }
      await systemClock.sleep(AGAIN_MS, signal);
    }
  });
}
