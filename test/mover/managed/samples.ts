import type { Clock } from '../../../src/clock.ts';
import { initialManaged } from '../../../src/migration/managed/lifecycle.ts';
import type { WatchResult } from '../../../src/protocol/peer/probe.ts';
import { migrationSettings } from '../../../src/protocol/public/migration.ts';

/** A migration of web1 from a to b that is planned, and no more. */
export const { state: PLANNED } = initialManaged({
  type: 'planned',
  id: 'm-11111111',
  guest: 'web1',
  from: 'a',
  to: 'b',
  settings: migrationSettings.parse({}),
});

/** It passes only while somebody sleeps. */
export function sleptClock(fromMs = 0): Clock {
  let nowMs = fromMs;
  return {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms) => void (nowMs += ms),
  };
}

/** What a watch of a guest saw that was silent for 90 ms. */
export function gapAt(address: string): WatchResult {
  return {
    seen: {
      kind: 'icmp',
      address,
      intervalMs: 50,
      gapMs: 90,
      gapBeganAgoMs: 400,
      isOpen: false,
      sent: 9,
      answered: 8,
      ownStallMs: 6,
      watchedMs: 1000,
    },
  };
}
