import { z } from 'zod';
import { diskRequests, nodeName } from '../disk.ts';
import { bytes, moment, ms, shortText } from '../names.ts';
import { steeringRecord } from './steering.ts';

/** What a migration is expected to cost, and the measurements that this rests on. */

const share = z.number().min(0).max(1);

/** How much of a guest's memory is written within a window. Pages that are written twice count once. */
const curvePoint = z.object({ windowMs: ms, dirtyBytes: bytes });
export type CurvePoint = z.infer<typeof curvePoint>;

/** What a sample of a guest's pages holds, as shares of all of its memory. */
export const pageMix = z.object({
  /** Nothing but zeros, or never touched. */
  zero: share,
  /** The same as another page of the sample that is not zero. */
  duplicate: share,
  /** What a quick compressor makes of a byte that is not in a page of zeros. */
  packed: share,
  /** The same of the pages that were written meanwhile, by what they held before; absent where none was. */
  packedAgain: share.optional(),
  /**
   * Not zeros, and in the destination's cache, as the wire would find it; by so many pages of the sample, each content once.
   * Absent where that host has not told.
   */
  known: z.object({ share, pages: z.number().int().positive().max(1_000_000) }).optional(),
});
export type PageMix = z.infer<typeof pageMix>;

/** What was measured of a running guest, from outside. */
export const guestMeasure = z.object({
  /** `pages`: a sample of its pages was read and compared; `hypervisor`: its hypervisor looked. */
  how: z.enum(['pages', 'hypervisor']),
  memoryBytes: bytes,
  /** Pages that were looked at. */
  pages: z.number().int().nonnegative().max(1_000_000),
  /** By window, the shortest first. */
  curve: z.array(curvePoint).max(16),
  /** Absent where only the hypervisor looked. */
  mix: pageMix.optional(),
  /** Free memory of which the guest gives hints while it moves: pre-copy leaves most of it out. Absent: it gives none. */
  hintedFreeBytes: bytes.optional(),
});
export type GuestMeasure = z.infer<typeof guestMeasure>;

/** What is known of the link to the destination. */
export const linkMeasure = z.object({
  /** bytes/s. */
  rate: bytes,
  /**
   * `measured`: between the two agents; `seen`: by an earlier migration; `configured`: `wire.rates` says so.
   */
  how: z.enum(['measured', 'seen', 'configured']),
  roundTripMs: ms.optional(),
  /** The link may carry more: the hosts may have had no processor time for it when it was measured or seen. */
  isLeast: z.boolean().optional(),
  /** When it was measured; a measurement is kept for a while. */
  at: moment.optional(),
});
export type LinkMeasure = z.infer<typeof linkMeasure>;

/** The outcome lies between `low` and `high` in as many cases as the level says. */
const within = (amount: z.ZodNumber) => z.object({ low: amount, middle: amount, high: amount });
export const range = within(z.number().nonnegative().max(Number.MAX_SAFE_INTEGER));
export type Range = z.infer<typeof range>;

/** What the steering is expected to decide, after which round and when, ms of memory. */
const plannedStep = z.object({
  round: z.number().int().nonnegative(),
  atMs: ms,
  what: z.enum(['downtime', 'throttle', 'postcopy', 'give-up']),
  rule: steeringRecord.shape.rule,
  why: shortText,
  change: steeringRecord.shape.change,
});
export type PlannedStep = z.infer<typeof plannedStep>;

/** Steps of the steering that are listed: a strategy has no more of them, unless a guest keeps getting its speed back. */
export const MAX_STEPS = 32;

/** How a migration is expected to be steered, as things were measured. */
const plannedSteering = z.object({
  /** The strategy; that of the mode where none is asked for. */
  strategy: z.string().max(64),
  /** `timeout`: pre-copy goes on until the time is over. */
  ends: z.enum(['precopy', 'postcopy', 'given-up', 'timeout']),
  steps: z.array(plannedStep).max(MAX_STEPS),
});
export type PlannedSteering = z.infer<typeof plannedSteering>;

/** ms; absent where the guest made too few requests to say it. */
const expectedTimes = z.object({ p50Ms: range.optional(), p99Ms: range.optional() });

/** How long the guest's own requests to a disk take now, and are expected to take from the start of its copy to the switch. */
const expectedRequests = z.object({
  node: nodeName,
  now: diskRequests,
  reads: expectedTimes,
  writes: expectedTimes,
  flushes: expectedTimes,
});
export type ExpectedRequests = z.infer<typeof expectedRequests>;

/** One number for each of the figures that a move is compared by. */
const ofFigures = (amount: z.ZodNumber) =>
  z.object({ bytes: amount, totalMs: amount, memoryMs: amount, downtimeMs: amount }).partial();

/** How much wider each range was made than the model has it, or narrower (below 1): the exponent of end to middle. */
const predictionWidths = ofFigures(z.number().positive().max(16));
export type PredictionWidths = z.infer<typeof predictionWidths>;
/** How far a move came out from the middle of each range; 1: at its end. */
export const predictionOff = ofFigures(z.number().nonnegative().max(16));
export type PredictionOff = z.infer<typeof predictionOff>;

/** Times what a table assumes. */
const times = z.number().positive().max(16);
/** The kind of data path that memory takes, by its name in the model; that of a newer build may be another. */
const memoryPath = z.string().max(32);

/** What its data path was taken to cost, so that later predictions can learn from what it came to. */
const predictionCosts = z.object({
  memoryPath,
  processor: z.object({
    /** What the processor time that the model assumes was multiplied by, and how many of this host’s own moves said so. */
    times,
    moves: z.number().int().nonnegative().max(64),
    /** Of the time while memory moves: how much of it the processors alone would take. 1: they bound it. */
    share,
  }),
  /** The same of its bytes; absent where no pages were looked at, or the path does not compress. */
  bytes: z
    .object({
      times,
      moves: z.number().int().nonnegative().max(64),
      /** Of all bytes: those of the first pass over memory. */
      firstShare: share,
    })
    .optional(),
  /** Of the time while memory moves: how much of it the link, or the cap, alone would take; absent: nobody knew the link. */
  linkShare: share.optional(),
  /** Link and processors were taken to wait for each other: the root of both squares counts; absent: the slower of the two. */
  alternating: z.boolean().optional(),
  /** It may turn out quicker for a reason that is not one of costs: only a move that took longer tells of them. */
  onlySlower: z.boolean().optional(),
});
export type PredictionCosts = z.infer<typeof predictionCosts>;

/** What a move told of its data path's costs, each as times what the model assumes; absent: it told nothing of that. */
export const toldCosts = z.object({
  memoryPath,
  processor: times.optional(),
  bytes: times.optional(),
});
export type ToldCosts = z.infer<typeof toldCosts>;

/** What a migration is expected to take from the guest, the link and the hosts, as things were measured. */
export const effects = z.object({
  guest: z.object({
    /** The most of its processor time that is taken from it to slow it down; absent: nobody slows it down. */
    throttlePercent: z.number().min(0).max(100).optional(),
    /** Of its work: while it is slowed down, while it waits for memory that follows by post-copy, and while it stands still. */
    lostMs: ms,
  }),
  /** While memory moves; the share is absent where nobody knows the link. */
  link: z.object({ share: share.optional(), forMs: ms }),
  hosts: z.object({
    /** Of one processor, on the host that has more to do. */
    processorMs: ms,
    /** That the destination has to have for the guest. */
    memoryBytes: bytes,
  }),
});
export type Effects = z.infer<typeof effects>;

/** What a migration is expected to come to. */
export const prediction = z.object({
  /** The share of outcomes that each range is to hold. */
  level: share,
  /** Of memory, over the link. */
  bytes: range,
  /** Of the whole migration, ms; without the copies of its disks where `disks` is absent. */
  totalMs: range,
  /** Of these, while memory moves. */
  memoryMs: range,
  rounds: range,
  /**
   * Disks that are copied: how long that takes before memory moves, and what goes over the link for them until the switch.
   * Absent where none is, where nobody knows how much that is, and of earlier builds.
   */
  disks: z.object({ bytes: range, ms: range }).optional(),
  downtimeMs: range,
  /** The longest time without an answer that a client sees, ms. */
  clientGapMs: range,
  /** Whether pre-copy ends by itself in time, or memory follows by post-copy, which always ends. */
  converges: z.object({ probability: share, why: shortText }),
  /** Absent of earlier builds. */
  steering: plannedSteering.optional(),
  /** Absent where it would not end, and of earlier builds. */
  effects: effects.optional(),
  /** By what this host’s own moves came to beside what was said of them; absent: as the model alone has it. */
  widths: predictionWidths.optional(),
  /** Absent where later moves learn nothing from it, and of earlier builds. */
  costs: predictionCosts.optional(),
  /** Absent where no disk is copied, or its hypervisor does not count requests. */
  diskLatency: z.array(expectedRequests).max(64).optional(),
});
export type Prediction = z.infer<typeof prediction>;

/** What a migration will probably come to, as it says itself where no plan has said so; or why nobody can say. */
export const forecast = {
  prediction: prediction.optional(),
  unpredicted: z.string().max(1024).optional(),
};
