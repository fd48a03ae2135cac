import type { DiskLink } from '../../protocol/disk.ts';
import type { WireReport } from '../../protocol/wire.ts';
import type { Tunnel } from '../../disks/copy/tunnel/open.ts';
import type { Wire } from '../../wire/open.ts';

/** Limit of the report's list of levels (protocol/wire.ts). */
const MAX_LEVELS = 256;

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

export function diskLinkReport(tunnel: Pick<Tunnel, 'figures'>): DiskLink {
  const { longestCutMs, ...figures } = tunnel.figures();
  return { ...figures, longestCutMs: Math.round(longestCutMs), sessions: 1 };
}
