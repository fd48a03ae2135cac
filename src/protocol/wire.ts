import { z } from 'zod';
import { bytes, ms } from './names.ts';

const count = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** Version of sessions, frames and codec together; both sides need the same. */
export const WIRE_VERSION = 2;

export const wireOffer = z.object({
  version: z.number().int(),
  /** Processors of its host that may be used. */
  cores: z.number().positive().max(4096),
  /** Load average of the last minute; absent in earlier builds. */
  load: z.number().nonnegative().max(1_000_000).optional(),
  /** Its cache has this guest's last memory. */
  knowsGuest: z.boolean(),
});
export type WireOffer = z.infer<typeof wireOffer>;

/** Guests that may share pages through the hosts' caches, from the fewest. */
export const sharing = z.enum(['none', 'guest', 'tenant', 'host']);
export type CacheScope = z.infer<typeof sharing>;

export const linkGrace = z.number().int().min(1000).max(120_000);

/** The source's terms for one migration's wire. */
export const wireTerms = z.object({
  linkGraceMs: linkGrace,
  sharing,
  /** The circle's name if pages are shared within a tenant. */
  tenant: z.string().min(1).max(128).optional(),
});
export type WireTerms = z.infer<typeof wireTerms>;

/** Encoded length, characters: each of 65,536 names takes at most 4.3 bytes. */
const MAX_SUMMARY = 400_000;

/** A source's question about known pages before a migration: its terms, and its circle by each secret, newest first. */
export const knownQuestion = wireTerms
  .omit({ linkGraceMs: true })
  .extend({ tags: z.array(z.string().max(64)).min(1).max(3) });
export type KnownQuestion = z.infer<typeof knownQuestion>;

export const knownPart = z.object({
  /** Tag of the common circle. */
  tag: z.string().max(64),
  /** It has one in this many names. */
  parts: z.literal([1, 2, 4, 8, 16, 32, 64, 128, 256]),
  summary: z.base64().max(MAX_SUMMARY),
});

/** Empty if the wire would reveal nothing. */
export const knownAnswer = z.object({ known: knownPart.optional() });
export type KnownAnswer = z.infer<typeof knownAnswer>;

export const wireSession = z.object({
  session: z
    .string()
    .max(32)
    .regex(/^[0-9a-f]{32}$/),
});

const level = z.object({ level: z.number().int(), windowLog: z.number().int() });

export const wireFigures = z.object({
  /** Bytes from the hypervisor, and bytes on the links for them. */
  streamBytes: bytes,
  linkBytes: bytes,
  returnBytes: bytes,
  /** Pages by encoding; `bytes`: pieces that are not pages. */
  told: z.record(z.string().max(32), count),
  /** Contents that the other side lacked after all. */
  misses: count,
  /** Changes of the compression level, at most the first 256. */
  levels: z.array(z.object({ atMs: ms, from: level, to: level })).max(256),
  processorMs: ms,
  /** Times without any link, hidden from the hypervisor, and the longest. */
  cuts: count,
  longestCutMs: ms,
  /** Number of sessions; each resumed post-copy adds one. */
  sessions: count,
});
export type WireReport = z.infer<typeof wireFigures>;
