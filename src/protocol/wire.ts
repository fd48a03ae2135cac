import { z } from 'zod';
import { bytes, ms } from './names.ts';

/** What hosts say to each other about the wire, and what a report says of it. */

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Of the wire's sessions, frames and codec together; both sides must have the same. */
export const WIRE_VERSION = 2;

/** What a destination offers. */
export const wireOffer = z.object({
  version: z.number().int(),
  /** Processors of its host that may work for it. */
  cores: z.number().positive().max(4096),
  /** Threads that run there or wait for a processor, over the last minute; absent from a build that does not say it. */
  load: z.number().nonnegative().max(1_000_000).optional(),
  /** Its cache knows what this guest's memory held when it was there last. */
  knowsGuest: z.boolean(),
});
export type WireOffer = z.infer<typeof wireOffer>;

/** The guests with which the hosts' caches may share a guest's pages, from the fewest. */
export const sharing = z.enum(['none', 'guest', 'tenant', 'host']);
export type CacheScope = z.infer<typeof sharing>;

/** As long as a user may ask for. */
export const linkGrace = z.number().int().min(1000).max(120_000);

/** What the source asks of the wire of one migration. */
export const wireTerms = z.object({
  linkGraceMs: linkGrace,
  sharing,
  /** The circle's name, where pages are shared within a tenant. */
  tenant: z.string().min(1).max(128).optional(),
});
export type WireTerms = z.infer<typeof wireTerms>;

/** Characters in which it is told: each of 65,536 names takes 4.3 bytes at most, where its neighbours lie apart as they may. */
const MAX_SUMMARY = 400_000;

/** Whose pages a source asks of before there is a migration: its terms, and its circle by each secret, the newest first. */
export const knownQuestion = wireTerms
  .omit({ linkGraceMs: true })
  .extend({ tags: z.array(z.string().max(64)).min(1).max(3) });
export type KnownQuestion = z.infer<typeof knownQuestion>;

/** A part of the summary of its cache that the destination would send to that source. */
export const knownPart = z.object({
  /** Of the circle that both know. */
  tag: z.string().max(64),
  /** One in so many names is in it. */
  parts: z.literal([1, 2, 4, 8, 16, 32, 64, 128, 256]),
  summary: z.base64().max(MAX_SUMMARY),
});

/** Empty where the wire would tell nothing. */
export const knownAnswer = z.object({ known: knownPart.optional() });
export type KnownAnswer = z.infer<typeof knownAnswer>;

/** A session's name: 128 random bits, made by the destination each time that it waits for one. */
export const wireSession = z.object({
  session: z
    .string()
    .max(32)
    .regex(/^[0-9a-f]{32}$/),
});

const level = z.object({ level: z.number().int(), windowLog: z.number().int() });

/** What the wire did, as the source saw it. */
export const wireFigures = z.object({
  /** Bytes that the hypervisor sent, and that the links carried for them. */
  streamBytes: bytes,
  linkBytes: bytes,
  returnBytes: bytes,
  /** Pages by how they were encoded; `bytes`: pieces of what is no page. */
  told: z.record(z.string().max(32), count),
  /** Contents that the other side turned out not to have. */
  misses: count,
  /** Compression as it was chosen, at most the first 256 changes. */
  levels: z.array(z.object({ atMs: ms, from: level, to: level })).max(256),
  /** Processor time of the source's mover meanwhile. */
  processorMs: ms,
  /** Times without any link, hidden from the hypervisor, and the longest. */
  cuts: count,
  longestCutMs: ms,
  /** One, and one more for each time that post-copy was resumed. */
  sessions: count,
});
export type WireReport = z.infer<typeof wireFigures>;
