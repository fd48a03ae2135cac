import { z } from 'zod';
import { shortText } from '../names.ts';
import { LARGE_BYTES, route } from '../route.ts';

/** How one agent measures its link to another: it sends what means nothing, and looks how long that takes. */

/** Of one question, in characters, each a byte on the way. */
export const MAX_PAD = 512 * 1024;
/** Of all questions of one host within `LINK_KEPT_MS`. */
export const MAX_LINK_BYTES = 64e6;
/** How long a measurement is kept, ms. */
export const LINK_KEPT_MS = 600_000;

export const linkQuestion = z.object({ pad: z.string().max(MAX_PAD) });

export const linkAnswer = z.object({
  /** Why this host wants none of it now; nothing more is to be sent. */
  busy: shortText.optional(),
  /** For how long its agent has run or waited for a processor until now, ms; an earlier build does not say it. */
  workMs: z.number().nonnegative().optional(),
});

export type LinkAnswer = z.infer<typeof linkAnswer>;

/** A part of agentContract. */
export const linkRoutes = {
  linkProbe: route({
    method: 'POST',
    path: '/v1/link',
    summary: 'Take what another host sends to measure the link; keeps nothing of it',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    body: linkQuestion,
    response: linkAnswer,
  }),
};
