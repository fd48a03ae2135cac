import { neverMeasured, rateOf, waitToBegin, type Begun } from '../engine/beginning.ts';
import type { ManagedContext } from './lifecycle.ts';

/** Waits until the migration may begin. The manager is asked for nothing, but for what the guest writes. */
export function waitForManaged(context: ManagedContext, signal: AbortSignal): Promise<Begun> {
  const { config, clock, driver, askedAtMs, state, ask } = context;
  const { id, guest, from, to, settings } = state().plan;
  const facts = { migration: id, guest, from, to, mode: settings.mode, networks: [], ports: {} };
  const beginning = {
    config,
    clock,
    guest,
    settings,
    askedAtMs,
    facts: () => facts,
    dirtyRate: async (within: AbortSignal) => {
      if (driver.capabilities.measures !== true) throw neverMeasured(driver.name);
      const measure = () =>
        ask(async (session, inner) => {
          if (session.measure === undefined) throw neverMeasured(driver.name);
          return session.measure(inner);
        }, within);
      return rateOf(measure, within);
    },
  };
  return waitToBegin(beginning, signal);
}
