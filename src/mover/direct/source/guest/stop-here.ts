import { withDeadline } from '../../../../deadline.ts';
import { hasCode, toGodwitError } from '../../../../errors.ts';
import type { Log } from '../../../../log.ts';
import type { SourceContext } from '../source-context.ts';

const STOP_MS = 10_000;

/**
 * The guest's copy here must not run, whatever its hypervisor does by itself: the destination has it, or had it when it was
 * lost. A hypervisor that is gone runs nothing. Never rejects; what cannot be stopped is reported.
 */
export async function stopHere(
  context: SourceContext,
  log: Log,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await withDeadline('stopping the copy here', STOP_MS, signal, async (inner) => {
      const session = await context.guest.session(inner);
      await session.stopGuest(inner);
    });
  } catch (thrown) {
    const error = toGodwitError(thrown);
    if (hasCode(error, 'GODWIT_HYPERVISOR_LOST') || signal?.aborted === true) return;
    log.warn({ error }, 'the copy here could not be stopped');
  }
}
