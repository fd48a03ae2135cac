import type { DiskLink } from '../../protocol/disk.ts';
import type { WireReport } from '../../protocol/wire.ts';
import type { Tunnel } from '../../disks/copy/tunnel/open.ts';
import type { Wire } from '../../wire/open.ts';

/** Bound of the report's list of levels (protocol/wire.ts). */
const MAX_LEVELS = 256;

/** What one session of the wire did, as the report has it. Pure. */
export function wireReport(wire: Pick<Wire, 'figures'>): WireReport {
  const { levelChanges, encoded, processorMs, longestCutMs, ...figures } = wire.figures();
  const levels = levelChanges.slice(0, MAX_LEVELS).map(({ atMs, from, to }) => ({
    atMs: Math.max(0, Math.round(atMs)),
    from: { level: from.level, windowLog: from.windowLog },
    to: { level: to.level, windowLog: to.windowLog },
  }));
  return {
    ...figures,
    told: { ...encoded },
    levels,
    processorMs: Math.round(processorMs),
    longestCutMs: Math.round(longestCutMs),
    sessions: 1,
  };
}

/** The same of a path for disks. */
export function diskLinkReport(tunnel: Pick<Tunnel, 'figures'>): DiskLink {
  const { longestCutMs, ...figures } = tunnel.figures();
  return { ...figures, longestCutMs: Math.round(longestCutMs), sessions: 1 };
}
