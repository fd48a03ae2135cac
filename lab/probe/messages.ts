import { z } from 'zod';

/** What a probe is asked over its socket: one JSON object a line, one answer a line. */
export const probeRequest = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('mark') }),
  z.strictObject({ verb: z.literal('read') }),
  z.strictObject({ verb: z.literal('stop') }),
]);
export type ProbeRequest = z.infer<typeof probeRequest>;

const count = z.number().int().nonnegative();
const ms = z.number().nonnegative();

export const probeAnswer = z.object({
  /** The client's own port: it stays while the connection does. */
  localPort: count,
  connected: z.boolean(),
  connectedAtMs: ms,
  /** Why the connection ended, when it has. */
  reason: z.string().max(400).optional(),
  sent: count,
  received: count,
  lost: count,
  doubled: count,
  gapMs: ms,
  gapAtMs: ms.optional(),
  typicalGapMs: ms,
  ownStallMs: ms,
  sinceMarkMs: ms,
});
export type ProbeAnswer = z.infer<typeof probeAnswer>;
