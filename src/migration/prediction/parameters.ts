/** Every number that a prediction rests on and that is not measured for it. Where each comes from is in bench/results/prediction.md. Pure. */

/** The paths that guest memory can take. `known`: by the wire, whose caches know the guest. */
export type MemoryPath = 'plain' | 'several' | PackedPath | 'xbzrle' | 'cold' | 'known' | Content;
/** A container's, compared by content: as it is, or by zstd. */
export type Content = 'content' | 'contentPacked';
/** zstd over several streams at its levels 1, 3 and 9. */
export type PackedPath = 'packed' | 'packed3' | 'packed9';

/**
 * What a path makes of guest memory: bytes over the link for each byte, seconds of one processor for each GB,
 * rounded from the times that a busy machine of two took (bench/results/wire.md), and how many processors it has work for.
 */
export interface Cost {
  /** Where nobody has looked at the pages. */
  readonly share: number;
  /** Where a sample of them was compressed: times what the quick compressor made of it; absent: the path does not compress. */
  readonly ofPacked?: number;
  /** The same over a thin link, whose processors have the time for more (`THIN_LINK`); absent: as `ofPacked`. */
  readonly ofPackedThin?: number;
  /** Of a higher level: times what the quickest makes of pages that shrink; absent: 1. */
  readonly ofQuickest?: number;
  /** Of a page that is sent again, of what it took the first time. */
  readonly again: number;
  readonly secondsPerGb: number;
  /** The same whatever the guest's size, before its memory flows. */
  readonly startSeconds?: number;
  readonly mostCores: number;
  /** A page that it has sent already goes by its name. */
  readonly once?: true;
}

export const COSTS: Readonly<Record<MemoryPath, Cost>> = {
  /** One thread finds the pages and encrypts them. */
  plain: { share: 1, again: 1, secondsPerGb: 3, mostCores: 1 },
  several: { share: 1, again: 1, secondsPerGb: 2, mostCores: 4 },
  /** The hypervisor's own compression, over several streams: the sample's own level, and more pages at a time. */
  packed: { share: 0.4, ofPacked: 0.92, again: 1, secondsPerGb: 3, mostCores: 4 },
  /**
   * What they send of what level 1 does: 0.83 to 0.87 and 0.75 to 0.84 (wire.md, prediction.md). Their times lie between
   * those of two machines, both quiet: 4.8 and 14 s a GB (wire.md), and 16 and 34 (prediction.md). The slower one counts for
   * more: a level too low costs some bytes, and one too high twice the time.
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
  /** The first pass is plain; what changed little goes as a difference, where QEMU’s cache (64 MiB) still holds the page. */
  xbzrle: { share: 1, again: 0.75, secondsPerGb: 3, mostCores: 1 },
  /**
   * One thread of the wire encodes the pages, others compress. 10 s a GB on one machine (wire.md), 24 on another, on which
   * zstd took what is said above (prediction.md).
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
   * By both ends' processors at 384 MiB (3.3 s) and 1.5 GiB (10.3 s): their start, and 5.8 s for each GB. Another machine
   * took 10 (prediction.md).
   */
  known: {
    share: 0.05,
    ofPacked: 0.1,
    again: 1,
    secondsPerGb: 10,
    startSeconds: 0.9,
    mostCores: 2,
  },
  /** One thread at each end; the destination's, which compares, has more to do (bench/results/containers.md). */
  content: { share: 1, again: 1, secondsPerGb: 3.7, mostCores: 1, once: true },
  /** What zstd takes beside that is assumed. */
  contentPacked: {
    share: 0.4,
    ofPacked: 1,
    again: 1,
    secondsPerGb: 6,
    mostCores: 1,
    once: true,
  },
};

/** What an earlier move came to that no link of 1 Gbit/s carries, bytes/s. */
export const MORE_THAN_GIGABIT = 150_000_000;

/**
 * The wire has sent 0.63 to 0.67 of what zstd's quickest level makes of a sample over 40 Mbit/s, 0.73 over 100, and 0.78 over
 * 1 Gbit/s (prediction.md). Between these two rates (bytes/s), of which the second is assumed, by the rate's logarithm.
 */
export const THIN_LINK = { least: 5e6, most: 25e6 };

/** By the wire, of a page that the destination's cache has: its name of 16 bytes. Unchanged in its place, it takes less. */
export const NAMED = 16 / 4096;

/** By content as many rounds at most: each reads all memory, and what changes all the time is not worth another. */
export const CONTENT_ROUNDS = 8;
/** A round that sends more than this share of the one before gains nothing. */
export const WORTH_SHARE = 0.7;
/** One part of so many of the memory is little: the dump of all of it takes longer than sending that. */
export const LITTLE_SHARE = 32;
/** To read all memory once more and find what changed: 0.18 s for 256 MiB (bench/results/containers.md). */
export const LOOK_SECONDS_PER_GB = 0.7;
/**
 * While a container is frozen, beside its last pages: CRIU's dump, that read and sent as numbers, CRIU's restore. Between
 * what clients of containers of 32 MiB, 256 MiB and 1 GiB waited for (bench/results/containers.md): 0.5, 1 and 6 s.
 */
export const FREEZE_MS = 400;
export const FREEZE_MS_PER_GB = 3000;

/** QEMU’s note of a page of zeros: where it belongs (8 bytes) and the byte that it is full of, of 4096. */
export const ZERO_NOTE = 9 / 4096;
/**
 * However many threads a host counts: a path gets this share of what it would get alone at least. A kernel counts those that
 * wait for a disk, too. Assumed.
 */
export const MIN_SHARE = 0.125;
/** Finding a page of zeros takes this much of the time of sending one. */
export const ZERO_WORK = 0.15;

/** Of free memory, what lies in blocks that are large enough for a hint: 4 MiB on Linux. */
export const HINTED_SHARE = 0.75;
/** Until the guest has given its hints, ms; what is sent before has been sent. */
export const HINTS_AFTER_MS = 200;

/**
 * QEMU looks at what remains after each piece of its work: 50 ms of pages, or what a tenth of a second's cap allows.
 * QEMU undercuts the limit by at most this much, and the guest may dirty only this much meanwhile, ms (migration/ram.c,
 * migration.c).
 */
export const PIECE_MS = 50;
export const CAPPED_PIECE_MS = 100;
/**
 * QEMU counts what one plain stream has sent in pieces of 128 KiB (migration/qemu-file.c: 64 parts, of which a page takes two),
 * and stops for the rest of a tenth of a second once they are no less than the cap allows: it sends the cap rounded up, bytes/s.
 */
export const CAP_STEP = 10 * 128 * 1024;
/** As a mover does not see each piece: how much of it counts. */
export const PIECE_SHARE = 0.8;

/**
 * How far what is written in a round lies from what the curve says of one, as the spread of its logarithm. It was 0.22 in 269
 * rounds of one guest, of which more were far below the middle than that says (bench/results/prediction.md).
 */
export const ROUND_SPREAD = 0.35;

/** Passes that QEMU counts beside those that the model has: the first look, and the last one while the guest is paused. */
export const FURTHER_ROUNDS = 2;
export const POSTCOPY_FURTHER_ROUNDS = 1;

/** Checks, both movers, the destination’s hypervisor, the switch, its end, as a machine takes them that does little else, ms. */
export const AROUND_MS = 1500;
/**
 * How long the process that looks for a plan takes to start on that machine, ms. Taken as proportional, from one point: on a
 * machine where these times came to 2.7 s it took 365 ms.
 */
export const STARTED_MS = 200;
/**
 * A slower start counts up to here. A quicker one hardly does: not all of these times are those of processes, and no quicker
 * machine was measured.
 */
export const SLOWER = { least: 0.6, most: 4 };
/** What is assumed of the times around memory counts as much as this many moves. */
export const AROUND_ASSUMED_COUNTS = 0.25;
/** Before memory flows and after it, for whoever has a deadline to keep: as a busy machine takes them, ms. */
export const START_MS = 2500;
export const END_MS = 500;
/** While the guest is paused, beside its pages: devices’ state, its commit and resume, ms. */
export const SWITCH_MS = 40;
/** The same where each of several streams has to end first, ms. */
export const SEVERAL_SWITCH_MS = 60;
export const POSTCOPY_SWITCH_MS = 5;
/**
 * Bytes that the hypervisor has written and the link has not carried yet, where nothing but the link holds it back: they go
 * ahead of the last pages. Near what connections of Linux were seen to hold, which have 4 MiB each at most
 * (`net.ipv4.tcp_wmem`).
 */
export const QUEUED_BYTES = 1_500_000;
/** Of several streams together. */
export const SEVERAL_QUEUED_BYTES = 3_000_000;
/** What a client waits beyond the guest’s downtime: the announcement, and its own next question, ms. */
export const CLIENT_MS = 30;
/** Round trips until the source knows that its last state is loaded. Post-copy does not wait for that. */
export const LOADED_ROUND_TRIPS = 1;
/** Round trips that a client waits for: that one, the commit, and the announcement. */
export const CLIENT_ROUND_TRIPS = 3;
/** In post-copy pages are asked for one by one: the pass takes so much longer. */
export const POSTCOPY_PASS = 1.03;
/**
 * Before post-copy's switch a mover lets the link carry what is queued, where that takes so long, ms: QEMU that is held back
 * looks at its orders ten times a second, and the guest is paused from the order on.
 */
export const MIN_QUEUED_MS = 100;
/** For so long at most, ms. */
export const EMPTY_MS = 3000;
/** What a client waits then: for the rest of the queue, and until QEMU has seen the order, ms. */
export const EMPTIED_MS = 60;
/**
 * Before a guest in post-copy answers a client, it fetches the pages that its answer needs, one by one. That takes as long as
 * the link takes for so many bytes, and no more than this share of the time that post-copy takes.
 */
export const POSTCOPY_NEEDED_BYTES = 100 * 1024 ** 2;
export const POSTCOPY_NEEDED_SHARE = 0.8;
/** Post-copy begins after pre-copy has begun, ms. */
export const POSTCOPY_AFTER_MS = 100;

/** QEMU looks what a guest dirties at the end of a round, this often at most, and slows it down after so many looks, ms. */
export const THROTTLE_PERIOD_MS = 1000;
export const THROTTLE_PERIODS = 2;

/** What nobody has measured here counts as much as this many moves that this site has made. */
export const ASSUMED_COUNTS = 1;
/** Of its moves, the latest; what is older is not looked at. */
export const MAX_LOOKED_AT = 9;
/** So many moves are taken at their word. */
export const ENOUGH_MOVES = 3;
/** What so many moves weigh beside what is assumed, 0 to 1. */
export const weightOf = (moves: number, assumedCounts: number = ASSUMED_COUNTS): number =>
  moves / (moves + assumedCounts);

/** How far the outcome lies from the figure that was measured, as the spread of its logarithm. */
export const SPREADS = {
  link: { measured: 0.1, seen: 0.15, configured: 0.1, unknown: 0.5 },
  /** Of the sample; what the sample is too small for comes on top. */
  dirty: 0.25,
  share: { sampled: 0.08, unknown: 0.35 },
  processor: 0.3,
  fixed: 0.5,
} as const;

/**
 * How much of the spread of `fixed` is that of the times around memory. Assumed: with all of it, ranges of the total time held
 * too many moves on two cores that did nothing else (bench/results/prediction.md). What lies in connections is spread by all.
 */
export const AROUND_SPREAD = 0.7;

/** How much of the spread of `share` is that of the pages which hold something at all. */
export const HELD_SPREAD = 0.25;

/** A move is said to end from here on. */
export const SURE = 0.95;
/** Pages of a mover's sample: it has other work to do, and takes fewer than a plan. */
export const MOVER_PAGES = 1024;
/** The share of outcomes that a range is to hold. */
export const LEVEL = 0.8;
