import { systemClock } from '../../../clock.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { neverRanThere } from '../../../migration/direct/source/resolve.ts';
import { defined } from '../../../protocol/defined.ts';
import { formatDuration } from '../../../protocol/quantity.ts';
import { ask } from './source-base.ts';
import type { StepContext } from './ports.ts';

/**
 * Wait for a dark destination, ms; later, it asks this host's agent and gives up by itself
 * (migration/direct/destination/silence.ts).
 */
const DARK_MS = 45_000;
const LOOK_MS = 1000;
/** Time for a supervisor to restart a dead agent, ms. */
const AGENT_BACK_MS = 10_000;
const AGENT_RETRY_MS = 250;

/**
 * True if the destination has a mover for this migration. The agent may have died during the admission and may return
 * at once. Without its answer, a mover would be left until it gives up by itself.
 */
export async function isMoverThere(
  { peer, request }: StepContext<'peer'>,
  signal: AbortSignal,
): Promise<boolean> {
  const until = systemClock.monotonicMs() + AGENT_BACK_MS;
  for (;;) {
    try {
      return await peer.locate(request.id, signal);
    } catch (thrown) {
      const away = hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE');
      if (!away || systemClock.monotonicMs() > until) throw thrown;
    }
    await systemClock.sleep(AGENT_RETRY_MS, signal);
  }
}

/** The destination's mover removes everything. GODWIT_UNREACHABLE if it is dark for too long. */
export async function release(context: StepContext<'peer'>, signal: AbortSignal): Promise<void> {
  const { plan, because } = context.state();
  const neverRan = neverRanThere(context.state()) ? (true as const) : undefined;
  const body = { epoch: plan.epoch, ...defined({ because, neverRan }) };
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

/** Rejects once the current path has been dark for `DARK_MS`; a slow or frozen host still answers. */
async function untilDark(
  { peer, request }: StepContext<'peer'>,
  signal: AbortSignal,
): Promise<never> {
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
