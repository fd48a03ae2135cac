import { defined } from '../../protocol/defined.ts';
import type { MemorySample, Mode, Report } from '../../protocol/public/migration.ts';
import type { WatchResult } from '../../protocol/peer/probe.ts';
import type { ProbeReport } from '../../protocol/public/probe.ts';
import type { SourceState } from '../direct/source-state.ts';

/** From where, and from when on, a migration is watched by other hosts, and what they make of it. Pure. */

/** Of the peers that have no part in it, so many at most. */
const MAX_HOSTS = 4;
/** Watched from here on before its memory is over, s: it takes a host a second or two to begin. */
const AHEAD_S = 20;
/** What a link carries in that time before anybody knows its rate, bytes. */
const UNKNOWN_BYTES = 4 * 1024 ** 3;
/** A guest no larger than this may be over at once. */
const SMALL_BYTES = 2 * 1024 ** 3;

/** The hosts to ask: those that are named, or peers that are neither end. */
export function probeHosts(
  named: readonly string[] | undefined,
  peers: readonly string[],
  ends: readonly string[],
): string[] {
  if (named !== undefined) return [...new Set(named)];
  return peers.filter((name) => !ends.includes(name)).slice(0, MAX_HOSTS);
}

/** Whether it is watched before its memory begins to move: post-copy switches then, and a small guest soon after. */
export function isWatchedEarly(mode: Mode, memoryBytes: number): boolean {
  return mode !== 'precopy' || memoryBytes <= SMALL_BYTES;
}

/** Whether the switch may be near: hours of an even stream are not worth a probe each 10 ms. */
export function isNearSwitch({ remainingBytes, rate, round }: MemorySample): boolean {
  if (round > 1) return true;
  return rate === 0 ? remainingBytes <= UNKNOWN_BYTES : remainingBytes <= rate * AHEAD_S;
}

/** What two clocks differ by, from a question and its answer: no further off than half of what those took. */
export interface ClockDifference {
  readonly aheadMs: number;
  readonly tookMs: number;
}

/** The better known of two; `theirs`: their clock between our two readings of ours. */
export function clockDifference(
  known: ClockDifference | undefined,
  askedMs: number,
  theirsMs: number,
  answeredMs: number,
): ClockDifference {
  const tookMs = Math.max(0, answeredMs - askedMs);
  if (known !== undefined && known.tookMs <= tookMs) return known;
  return { aheadMs: theirsMs - (askedMs + answeredMs) / 2, tookMs };
}

/** A line of the report. `heardAtMs`: when the host reported it, ms since the migration was asked for. */
export function probeReportOf(host: string, result: WatchResult, heardAtMs: number): ProbeReport {
  const { seen, goesOnMs, goesNot } = result;
  if (seen === undefined) return { host, notTried: result.notTried ?? 'it did not say why' };
  const { gapBeganAgoMs, ...figures } = seen;
  const at =
    gapBeganAgoMs === undefined
      ? {}
      : { gapAtMs: Math.round(Math.max(0, heardAtMs - gapBeganAgoMs)) };
  return {
    host,
    ...figures,
    ...at,
    ...defined({ goesOnMs, goesNot }),
  };
}

/** What the report shows of it. */
export function seenElsewhere({
  known,
}: SourceState): Pick<Report, 'firstFrameMs' | 'postcopyWaitedMs' | 'vantages'> {
  const { firstFrameMs, postcopyWaitedMs, vantages = [] } = known;
  return {
    ...defined({ firstFrameMs, postcopyWaitedMs }),
    ...(vantages.length === 0 ? {} : { vantages }),
  };
}
