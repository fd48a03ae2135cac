import type { WireReport } from '../../src/protocol/wire.ts';

/** Of one session. */
export const WIRE_FIGURES: WireReport = {
  streamBytes: 100,
  linkBytes: 40,
  returnBytes: 1,
  told: {},
  misses: 0,
  levels: [],
  processorMs: 2,
  cuts: 0,
  longestCutMs: 0,
  sessions: 1,
};
