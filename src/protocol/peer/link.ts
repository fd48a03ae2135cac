import { z } from 'zod';
import { shortText } from '../names.ts';
import { LARGE_BYTES, route } from '../route.ts';

/** Per question, characters of one byte each. */
export const MAX_PAD = 512 * 1024;
/** All questions of one host within `LINK_KEPT_MS`. */
export const MAX_LINK_BYTES = 64e6;
/** Lifetime of a measurement, ms. */
export const LINK_KEPT_MS = 600_000;

export const linkQuestion = z.object({ pad: z.string().max(MAX_PAD) });

export const linkAnswer = z.object({
  /** The reason why this host cannot measure now; the sender must stop. */
  busy: shortText.optional(),
  /** Time of its agent running or waiting for a processor, ms; absent in earlier builds. */
  workMs: z.number().nonnegative().optional(),
});

export type LinkAnswer = z.infer<typeof linkAnswer>;

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
