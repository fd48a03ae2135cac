/** Numbers of the prediction that are not measured per migration; sources in bench/results/prediction.md. Pure. */

/** `known`: the wire, with caches that know the guest. */
export type MemoryPath = 'plain' | 'several' | PackedPath | 'xbzrle' | 'cold' | 'known' | Content;
/** Container memory compared by content, plain or with zstd. */
export type Content = 'content' | 'contentPacked';
export type PackedPath = 'packed' | 'packed3' | 'packed9';

/**
 * Costs of a path: link bytes per byte of memory, processor seconds per GB (rounded from a busy machine with two
 * processors, bench/results/wire.md), and usable processors.
 */
export interface Cost {
  /** Used without a sample of the pages. */
  readonly share: number;
  /** Factor on the quick compressor's ratio, with a sample; absent: the path does not compress. */
  readonly ofPacked?: number;
  /** Same over a thin link (`THIN_LINK`), whose processors have more time; absent: as `ofPacked`. */
  readonly ofPackedThin?: number;
  /** Higher level: factor on the fastest level's ratio, for pages that shrink; absent: 1. */
  readonly ofQuickest?: number;
  /** Ratio of a resent page's cost to its first cost. */
  readonly again: number;
  readonly secondsPerGb: number;
  readonly startSeconds?: number;
  readonly mostCores: number;
  /** A page that was sent before is sent by name. */
  readonly once?: true;
}

export const COSTS: Readonly<Record<MemoryPath, Cost>> = {
  /** One thread finds and encrypts the pages. */
  plain: { share: 1, again: 1, secondsPerGb: 3, mostCores: 1 },
  several: { share: 1, again: 1, secondsPerGb: 2, mostCores: 4 },
  /** The hypervisor's compression over several streams; same level as the sample, with more pages at a time. */
  packed: { share: 0.4, ofPacked: 0.92, again: 1, secondsPerGb: 3, mostCores: 4 },
  /**
   * Bytes relative to level 1: 0.83 to 0.87 and 0.75 to 0.84 (wire.md, prediction.md). Times per GB on two quiet
   * machines: 4.8 and 14 s (wire.md), 16 and 34 s (prediction.md). The slower machine weighs more, because a level
   * too high doubles the time.
   */
  packed3: {
    share: 0.34,
    ofPacked: 0.92,
    ofQuickest: 0.86,
    again: 1,
    secondsPerGb: 12,
    mostCores: 4,
  },
  packed9: {
    share: 0.32,
    ofPacked: 0.92,
    ofQuickest: 0.8,
    again: 1,
    secondsPerGb: 30,
    mostCores: 4,
  },
  /** First pass plain; small changes go as deltas if QEMU's cache (64 MiB) still holds the page. */
  xbzrle: { share: 1, again: 0.75, secondsPerGb: 3, mostCores: 1 },
  /**
   * One wire thread encodes and others compress. 10 s per GB on one machine (wire.md), 24 s on another, with the zstd
   * times above (prediction.md).
   */
  cold: {
    share: 0.35,
    ofPacked: 0.77,
    ofPackedThin: 0.66,
    again: 0.5,
    secondsPerGb: 24,
    mostCores: 2,
    once: true,
  },
  /**
   * Start time, and 5.8 s per GB, from both ends' processor time at 384 MiB (3.3 s) and 1.5 GiB (10.3 s). Another
   * machine took 10 s per GB (prediction.md).
   */
  known: {
    share: 0.05,
    ofPacked: 0.1,
    again: 1,
    secondsPerGb: 10,
    startSeconds: 0.9,
    mostCores: 2,
  },
  /** One thread at each end; the destination compares and has more work (bench/results/containers.md). */
  content: { share: 1, again: 1, secondsPerGb: 3.7, mostCores: 1, once: true },
  /** The additional time of zstd is assumed. */
  contentPacked: {
    share: 0.4,
    ofPacked: 1,
    again: 1,
    secondsPerGb: 6,
    mostCores: 1,
    once: true,
  },
};

/** Rate of an earlier move above 1 Gbit/s, bytes/s. */
export const MORE_THAN_GIGABIT = 150_000_000;

/**
 * The wire sent 0.63 to 0.67 of the size by zstd's fastest level over 40 Mbit/s, 0.73 over 100 Mbit/s, and 0.78 over
 * 1 Gbit/s (prediction.md). Interpolated by the logarithm of the rate between these bounds (bytes/s); the second is
 * assumed.
 */
export const THIN_LINK = { least: 5e6, most: 25e6 };

/** Wire cost of a page in the destination's cache: a name of 16 bytes. An unchanged page in its place costs less. */
export const NAMED = 16 / 4096;

/** Maximum rounds by content: each reads all memory. */
export const CONTENT_ROUNDS = 8;
/** A round that sends more than this share of the previous one gains nothing. */
export const WORTH_SHARE = 0.7;
/** A remainder below memory divided by this is small, as dumping takes longer than sending. */
export const LITTLE_SHARE = 32;
/** Time to read all memory and find changes: 0.18 s for 256 MiB (bench/results/containers.md). */
export const LOOK_SECONDS_PER_GB = 0.7;
/**
 * Freeze of a container without its last pages: CRIU's dump, sending it, and the restore. Clients of containers of 32
 * MiB, 256 MiB and 1 GiB waited 0.5, 1 and 6 s (bench/results/containers.md).
 */
export const FREEZE_MS = 400;
export const FREEZE_MS_PER_GB = 3000;

/** QEMU's note of a zero page: address (8 bytes) and fill byte, per 4096 bytes. */
export const ZERO_NOTE = 9 / 4096;
/** Minimum share of a busy host that a path gets, as the kernel's load includes waits for disks. Assumed. */
export const MIN_SHARE = 0.125;
/** Cost of finding a zero page, relative to sending a page. */
export const ZERO_WORK = 0.15;

/** Share of free memory in blocks large enough for a hint: 4 MiB on Linux. */
export const HINTED_SHARE = 0.75;
/** Time until the guest's hints arrive, ms; pages sent before are lost to them. */
export const HINTS_AFTER_MS = 200;

/**
 * QEMU checks the remainder after each piece of work: 50 ms of pages, or the amount that a cap allows in a tenth of a
 * second. It therefore ends up to this much below the limit, and only this much may be dirtied meanwhile, ms
 * (migration/ram.c, migration.c).
 */
export const PIECE_MS = 50;
export const CAPPED_PIECE_MS = 100;
/**
 * QEMU counts a plain stream in pieces of 128 KiB (migration/qemu-file.c: 64 parts, two per page) and pauses for the
 * rest of a tenth of a second once the cap is reached. It therefore sends the cap rounded up, bytes/s.
 */
export const CAP_STEP = 10 * 128 * 1024;
/** Share of a piece that counts, since a mover does not see each piece. */
export const PIECE_SHARE = 0.8;

/**
 * Spread of a round's writes around the curve, as the standard deviation of the logarithm. It was 0.22 in 269 rounds
 * of one guest, with more rounds far below the middle than that implies (bench/results/prediction.md).
 */
export const ROUND_SPREAD = 0.35;

/** Passes that QEMU counts and the model does not: the first look, and the final one during the pause. */
export const FURTHER_ROUNDS = 2;
export const POSTCOPY_FURTHER_ROUNDS = 1;

/** Checks, both movers, the destination's hypervisor, the switchover and the end on a quiet machine, ms. */
export const AROUND_MS = 1500;
/**
 * Start of the planning process on that machine, ms. Taken as proportional from one point: a machine with 2.7 s for
 * these times took 365 ms.
 */
export const STARTED_MS = 200;
/** Bounds of the factor for process starts. A faster start helps little, and no faster machine was measured. */
export const SLOWER = { least: 0.6, most: 4 };
/** Weight of the assumed time around memory, in moves. */
export const AROUND_ASSUMED_COUNTS = 0.25;
/** Time before and after memory for deadlines, on a busy machine, ms. */
export const START_MS = 2500;
export const END_MS = 500;
/** Pause without pages: device state, commit and resume, ms. */
export const SWITCH_MS = 40;
/** Same with several streams, which end first, ms. */
export const SEVERAL_SWITCH_MS = 60;
export const POSTCOPY_SWITCH_MS = 5;
/**
 * Bytes in the send queue if only the link limits the hypervisor; they precede the last pages. Close to the observed
 * queue of Linux connections, which is limited to 4 MiB each (`net.ipv4.tcp_wmem`).
 */
export const QUEUED_BYTES = 1_500_000;
export const SEVERAL_QUEUED_BYTES = 3_000_000;
/** A client's wait beyond the downtime, ms. */
export const CLIENT_MS = 30;
/** Round trips until the source knows that the last state is loaded; not in post-copy. */
export const LOADED_ROUND_TRIPS = 1;
/** Round trips that a client waits for: that one, the commit, the announcement. */
export const CLIENT_ROUND_TRIPS = 3;
/** Post-copy requests pages one by one, which lengthens the pass by this factor. */
export const POSTCOPY_PASS = 1.03;
/**
 * Before post-copy's switchover a mover drains queues that take at least this long, ms. A blocked QEMU checks for
 * orders ten times a second, and the guest is paused from the order on.
 */
export const MIN_QUEUED_MS = 100;
/** Maximum drain, ms. */
export const EMPTY_MS = 3000;
/** A client's wait then: the rest of the queue, and QEMU's check for the order, ms. */
export const EMPTIED_MS = 60;
/**
 * Pages that a guest in post-copy fetches before it answers, in link bytes; limited to this share of post-copy's
 * time.
 */
export const POSTCOPY_NEEDED_BYTES = 100 * 1024 ** 2;
export const POSTCOPY_NEEDED_SHARE = 0.8;
/** Start of post-copy after the start of pre-copy, ms. */
export const POSTCOPY_AFTER_MS = 100;

/** QEMU measures dirtying at most once per this time, and throttles after several measurements, ms. */
export const THROTTLE_PERIOD_MS = 1000;
export const THROTTLE_PERIODS = 2;

/** Weight of an assumption, in moves of this site. */
export const ASSUMED_COUNTS = 1;
export const MAX_LOOKED_AT = 9;
export const ENOUGH_MOVES = 3;
/** Weight of these moves against the assumption, 0 to 1. */
export const weightOf = (moves: number, assumedCounts: number = ASSUMED_COUNTS): number =>
  moves / (moves + assumedCounts);

/** Spreads of results around measured figures, as standard deviations of the logarithm. */
export const SPREADS = {
  link: { measured: 0.1, seen: 0.15, configured: 0.1, unknown: 0.5 },
  /** Spread of the sample; small samples add to it. */
  dirty: 0.25,
  share: { sampled: 0.08, unknown: 0.35 },
  processor: 0.3,
  fixed: 0.5,
} as const;

/**
 * Part of `fixed` that applies to the time around memory. Assumed: with all of it, ranges of the total time held too
 * many moves on two idle cores (bench/results/prediction.md). Queued bytes use all of it.
 */
export const AROUND_SPREAD = 0.7;

/** Part of `share` that applies to the share of nonzero pages. */
export const HELD_SPREAD = 0.25;

/** Minimum probability for a move that is predicted to end. */
export const SURE = 0.95;
/** Sample size of a mover, which has less time than a plan. */
export const MOVER_PAGES = 1024;
/** Share of results that a range should hold. */
export const LEVEL = 0.8;
