import { z } from 'zod';
import { diskRequests, nodeName } from '../disk.ts';
import { bytes, moment, ms, shortText } from '../names.ts';
import { steeringRecord } from './steering.ts';

const share = z.number().min(0).max(1);

/** Guest memory written within a window; pages written twice count once. */
const curvePoint = z.object({ windowMs: ms, dirtyBytes: bytes });
export type CurvePoint = z.infer<typeof curvePoint>;

/** Content of a sample of pages, as shares of the guest's memory. */
export const pageMix = z.object({
  /** Zeros, or never touched. */
  zero: share,
  /** Equal to another non-zero page of the sample. */
  duplicate: share,
  /** Compressed size per non-zero byte, with a quick compressor. */
  packed: share,
  /** The same for pages written meanwhile, by their earlier content; absent without any. */
  packedAgain: share.optional(),
  /**
   * Non-zero pages in the destination's cache, as the wire would find them, with the number of distinct sampled
   * contents. Absent without that host's answer.
   */
  known: z.object({ share, pages: z.number().int().positive().max(1_000_000) }).optional(),
});
export type PageMix = z.infer<typeof pageMix>;

export const guestMeasure = z.object({
  /** `pages`: a sample of pages was compared; `hypervisor`: the hypervisor measured. */
  how: z.enum(['pages', 'hypervisor']),
  memoryBytes: bytes,
  pages: z.number().int().nonnegative().max(1_000_000),
  curve: z.array(curvePoint).max(16),
  /** Absent if only the hypervisor measured. */
  mix: pageMix.optional(),
  /** Free memory that the guest reports; pre-copy skips most of it. Absent: it reports none. */
  hintedFreeBytes: bytes.optional(),
});
export type GuestMeasure = z.infer<typeof guestMeasure>;

export const linkMeasure = z.object({
  rate: bytes,
  /** `measured`: between the agents; `seen`: by an earlier migration; `configured`: from `wire.rates`. */
  how: z.enum(['measured', 'seen', 'configured']),
  roundTripMs: ms.optional(),
  /** A lower bound: the hosts' processors may have been the bottleneck. */
  isLeast: z.boolean().optional(),
  /** Time of the measurement, which is kept for a while. */
  at: moment.optional(),
});
export type LinkMeasure = z.infer<typeof linkMeasure>;

/** The result is between `low` and `high` with the probability of the level. */
const within = (amount: z.ZodNumber) => z.object({ low: amount, middle: amount, high: amount });
export const range = within(z.number().nonnegative().max(Number.MAX_SAFE_INTEGER));
export type Range = z.infer<typeof range>;

/** An expected decision of the steering: the round before it, and the time, ms of memory. */
const plannedStep = z.object({
  round: z.number().int().nonnegative(),
  atMs: ms,
  what: z.enum(['downtime', 'throttle', 'postcopy', 'give-up']),
  rule: steeringRecord.shape.rule,
  why: shortText,
  change: steeringRecord.shape.change,
});
export type PlannedStep = z.infer<typeof plannedStep>;

/** Listed steps of the steering. A strategy has fewer, unless a guest keeps regaining its speed. */
export const MAX_STEPS = 32;

const plannedSteering = z.object({
  strategy: z.string().max(64),
  /** `timeout`: pre-copy continues until the time is over. */
  ends: z.enum(['precopy', 'postcopy', 'given-up', 'timeout']),
  steps: z.array(plannedStep).max(MAX_STEPS),
});
export type PlannedSteering = z.infer<typeof plannedSteering>;

/** ms; absent with too few requests. */
const expectedTimes = z.object({ p50Ms: range.optional(), p99Ms: range.optional() });

/** Latencies of the guest's requests to a disk now, and expected from the start of its copy to the switch. */
const expectedRequests = z.object({
  node: nodeName,
  now: diskRequests,
  reads: expectedTimes,
  writes: expectedTimes,
  flushes: expectedTimes,
});
export type ExpectedRequests = z.infer<typeof expectedRequests>;

const ofFigures = (amount: z.ZodNumber) =>
  z.object({ bytes: amount, totalMs: amount, memoryMs: amount, downtimeMs: amount }).partial();

/** Factor on each range's width from learning: the exponent of end to middle; below 1: narrower. */
const predictionWidths = ofFigures(z.number().positive().max(16));
export type PredictionWidths = z.infer<typeof predictionWidths>;
/** Distance of a result from the range's middle; 1: at its end. */
export const predictionOff = ofFigures(z.number().nonnegative().max(16));
export type PredictionOff = z.infer<typeof predictionOff>;

/** Factors on the model's table. */
const times = z.number().positive().max(16);
/** Kind of memory's data path in the model; a newer build may send others. */
const memoryPath = z.string().max(32);

/** Assumed costs of the data path, for later learning. */
const predictionCosts = z.object({
  memoryPath,
  processor: z.object({
    /** Factor on the model's processor time, and the number of own moves behind it. */
    times,
    moves: z.number().int().nonnegative().max(64),
    /** Share of the memory phase that the processors alone need; 1: they are the bottleneck. */
    share,
  }),
  /** The same for bytes; absent without sampled pages or compression. */
  bytes: z
    .object({
      times,
      moves: z.number().int().nonnegative().max(64),
      /** Share of the first pass in all bytes. */
      firstShare: share,
    })
    .optional(),
  /** Share of the memory phase that the link or the cap alone needs; absent: unknown link. */
  linkShare: share.optional(),
  /** Link and processors wait for each other (root of the sum of squares); absent: the slower one counts. */
  alternating: z.boolean().optional(),
  /** It may be faster for other reasons, so only a slower move gives information on costs. */
  onlySlower: z.boolean().optional(),
});
export type PredictionCosts = z.infer<typeof predictionCosts>;

/** A move's costs as factors on the model; absent values are unknown. */
export const toldCosts = z.object({
  memoryPath,
  processor: times.optional(),
  bytes: times.optional(),
});
export type ToldCosts = z.infer<typeof toldCosts>;

export const effects = z.object({
  guest: z.object({
    /** Highest throttling of the guest; absent: none. */
    throttlePercent: z.number().min(0).max(100).optional(),
    /** Lost work: by throttling, by waiting for post-copy memory, and by standing still. */
    lostMs: ms,
  }),
  /** In the memory phase; the share is absent for an unknown link. */
  link: z.object({ share: share.optional(), forMs: ms }),
  hosts: z.object({
    /** Of one processor, at the busier host. */
    processorMs: ms,
    /** Memory needed at the destination. */
    memoryBytes: bytes,
  }),
});
export type Effects = z.infer<typeof effects>;

export const prediction = z.object({
  /** Share of results that each range should contain. */
  level: share,
  bytes: range,
  /** The whole migration, ms; without copies of disks if `disks` is absent. */
  totalMs: range,
  memoryMs: range,
  rounds: range,
  /**
   * Copied disks: time before memory moves, and bytes on the link until the switch. Absent if none is copied, if the
   * amount is unknown, and in earlier builds.
   */
  disks: z.object({ bytes: range, ms: range }).optional(),
  downtimeMs: range,
  /** Longest time without an answer for a client, ms. */
  clientGapMs: range,
  /** Whether pre-copy ends in time, or post-copy follows, which always ends. */
  converges: z.object({ probability: share, why: shortText }),
  /** Absent in earlier builds. */
  steering: plannedSteering.optional(),
  /** Absent if it would not end, and in earlier builds. */
  effects: effects.optional(),
  /** Learned from this host's own predictions and results; absent: the model's widths. */
  widths: predictionWidths.optional(),
  /** Absent if later moves cannot learn from it, and in earlier builds. */
  costs: predictionCosts.optional(),
  diskLatency: z.array(expectedRequests).max(64).optional(),
});
export type Prediction = z.infer<typeof prediction>;

/** A migration's own prediction if there was no plan, or why there is none. */
export const forecast = {
  prediction: prediction.optional(),
  unpredicted: z.string().max(1024).optional(),
};
