import type { WireReport } from '../../protocol/wire.ts';

/** Limit of the report's list of levels (protocol/wire.ts). */
const MAX_LEVELS = 256;

/** Adds up figures after the wire was reopened. Pure. */
export function addWire(before: WireReport | undefined, next: WireReport): WireReport {
  if (before === undefined) return next;
  const told = { ...before.told };
  for (const [kind, count] of Object.entries(next.told)) told[kind] = (told[kind] ?? 0) + count;
  return {
    streamBytes: before.streamBytes + next.streamBytes,
    linkBytes: before.linkBytes + next.linkBytes,
    returnBytes: before.returnBytes + next.returnBytes,
    told,
    misses: before.misses + next.misses,
    levels: [...before.levels, ...next.levels].slice(0, MAX_LEVELS),
    processorMs: before.processorMs + next.processorMs,
    cuts: before.cuts + next.cuts,
    longestCutMs: Math.max(before.longestCutMs, next.longestCutMs),
    sessions: before.sessions + next.sessions,
  };
}
