import { systemClock } from '../../../clock.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { defined } from '../../../protocol/defined.ts';
import { formatDuration } from '../../../protocol/quantity.ts';
import { ask } from './source-base.ts';
import type { SourceContext } from './source-context.ts';

/**
 * A destination that is dark for so long is not waited for, ms: when its link is back, it asks this host’s agent and gives
 * up its part by itself (migration/direct/silence.ts).
 */
const DARK_MS = 45_000;
const LOOK_MS = 1000;

/** The destination’s mover takes down what it holds. GODWIT_UNREACHABLE where it is dark for too long. */
export async function release(context: SourceContext, signal: AbortSignal): Promise<void> {
  const { plan, because } = context.state();
  const body = { epoch: plan.epoch, ...defined({ because }) };
  const over = new AbortController();
  const asking = AbortSignal.any([signal, over.signal]);
  const asked = ask(context, asking, (api) =>
    api.release({ body }, { signal: asking, deadlineMs: 15_000 }),
  );
  const dark = untilDark(context, asking);
  dark.catch(() => {});
  try {
    await Promise.race([asked, dark]);
  } catch (thrown) {
    if (!hasCode(thrown, 'GODWIT_MIGRATION_UNKNOWN')) throw thrown;
  } finally {
    over.abort();
    asked.catch(() => {});
  }
}

/** Rejects once the path in use has not answered for `DARK_MS`; one that is slow or frozen answers. */
async function untilDark({ peer, request }: SourceContext, signal: AbortSignal): Promise<never> {
  let heardMs = systemClock.monotonicMs();
  for (;;) {
    await systemClock.sleep(LOOK_MS, signal);
    const answers = await peer.answers(signal);
    const nowMs = systemClock.monotonicMs();
    if (answers) heardMs = nowMs;
    if (nowMs - heardMs < DARK_MS) continue;
    const reason = `nothing for ${formatDuration(DARK_MS)}; it gives up its part by itself once it reaches this host`;
    throw godwitError('GODWIT_UNREACHABLE', {
      peer: request.toHost,
      address: peer.address,
      reason,
    });
  }
}
