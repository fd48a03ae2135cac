import { systemClock } from '../../../clock.ts';
import { godwitError, hasCode } from '../../../errors.ts';
import { ask } from './source-base.ts';
import type { SourceContext } from './source-context.ts';

/** What has left the source may still be on its way, ms; a link that lost it is noticed within that time. */
const ARRIVES_MS = 10_000;
const LOOK_MS = 50;

/**
 * The hypervisor's events end `drain`, but where its stream has failed, or it has ended: whether all memory had left it
 * before, only the destination knows. GODWIT_LOST where it had not.
 */
export async function drained(context: SourceContext, signal: AbortSignal): Promise<void> {
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

async function brokenBy(context: SourceContext, signal: AbortSignal): Promise<string | undefined> {
  const { stream } = context.state();
  if (stream === 'failed') return 'its stream broke before all memory had left its source';
  if (stream !== 'lost' && (await isThere(context, signal))) return undefined;
  return 'its source died before all memory had left it';
}

async function isThere(context: SourceContext, signal: AbortSignal): Promise<boolean> {
  try {
    await context.guest.session(signal);
    return true;
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_HYPERVISOR_LOST')) return false;
    throw thrown;
  }
}
