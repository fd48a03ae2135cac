import { systemClock } from '../../../clock.ts';
import type { StepFacts } from '../../../migration/direct/source-state.ts';
import { neverMeasured, rateOf, waitToBegin } from '../../engine/beginning.ts';
import { factsOf } from './hooks.ts';
import type { SourceContext } from './source-context.ts';

/** Waits until the migration may begin. Touches nothing. */
export function waitAtSource(context: SourceContext, signal: AbortSignal): Promise<StepFacts> {
  const { config, request, guest } = context;
  const { plan } = context.state();
  const beginning = {
    config,
    clock: systemClock,
    guest: plan.guest,
    settings: plan.settings,
    askedAtMs: Date.parse(request.createdAt),
    facts: () => factsOf(context),
    countedBy: guest?.countedBy,
    dirtyRate: async (inner: AbortSignal) => {
      const session = await guest.session(inner);
      if (session.measure === undefined) throw neverMeasured(session.handle.driver);
      return rateOf(() => session.measure?.(inner) ?? Promise.reject(new Error('gone')), inner);
    },
  };
  return waitToBegin(beginning, signal);
}
