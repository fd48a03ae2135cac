import { defined } from '../../protocol/defined.ts';
import type { MemorySample, Mode, Report } from '../../protocol/public/migration.ts';
import type { WatchResult } from '../../protocol/peer/probe.ts';
import type { ProbeReport } from '../../protocol/public/probe.ts';
import type { SourceState } from '../direct/source/source-state.ts';

/** Probing of a migration's guest by other hosts: which hosts, from when, and their results. Pure. */

const MAX_HOSTS = 4;
/** Lead time before the end of memory, s; a host needs a second or two to start. */
const AHEAD_S = 20;
/** Assumed amount in that time while the link's rate is unknown, bytes. */
const UNKNOWN_BYTES = 4 * 1024 ** 3;
/** A smaller guest may finish at once. */
const SMALL_BYTES = 2 * 1024 ** 3;

/** Named hosts, or peers on neither end. */
export function probeHosts(
  named: readonly string[] | undefined,
  peers: readonly string[],
  ends: readonly string[],
): string[] {
  if (named !== undefined) return [...new Set(named)];
  return peers.filter((name) => !ends.includes(name)).slice(0, MAX_HOSTS);
}

/** True if probes start before memory moves: post-copy switches then, and a small guest soon after. */
export function isWatchedEarly(mode: Mode, memoryBytes: number): boolean {
  return mode !== 'precopy' || memoryBytes <= SMALL_BYTES;
}

/** True if the switchover may be near; probes every 10 ms are not worth it for hours. */
export function isNearSwitch({ remainingBytes, rate, round }: MemorySample): boolean {
  if (round > 1) return true;
  return rate === 0 ? remainingBytes <= UNKNOWN_BYTES : remainingBytes <= rate * AHEAD_S;
}

/** Offset of two clocks from one question and answer; the error is at most half of the round trip. */
export interface ClockDifference {
  readonly aheadMs: number;
  readonly tookMs: number;
}

/** The more precise of two; `theirs`: their clock between two readings of ours. */
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

/** `heardAtMs`: time of the host's report, ms since the request. */
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

export function seenElsewhere({
  known,
}: SourceState): Pick<Report, 'firstFrameMs' | 'postcopyWaitedMs' | 'vantages'> {
  const { firstFrameMs, postcopyWaitedMs, vantages = [] } = known;
  return {
    ...defined({ firstFrameMs, postcopyWaitedMs }),
    ...(vantages.length === 0 ? {} : { vantages }),
  };
}
