import { z } from 'zod';
import { LARGE_BYTES, REPORT_BYTES, route } from '../route.ts';
import { check } from '../public/migration.ts';
import { knownAnswer, knownQuestion, wireOffer } from '../wire.ts';
import { checkId } from '../names.ts';
import { hostFacts } from './host-facts.ts';
import { admission, assessment, preparation, storageAnswer, storageProof } from './migration.ts';

/**
 * A source's questions before there is a migration: those of an admission and of the destination's mover, answered by
 * its agent. Nothing begins or is kept between calls.
 */

/** A check's id cannot be a migration's, so neither can its answers and proofs. */
const asked = { admission: admission.extend({ id: checkId }) };
export const preflightAdmission = z.object({
  ...asked,
  ports: z.number().int().min(1).max(16),
});
export type PreflightAdmission = z.infer<typeof preflightAdmission>;

const preflightAnswer = z.object({
  checks: z.array(check).max(64),
  wire: wireOffer.optional(),
  host: hostFacts.optional(),
});
export type PreflightAnswer = z.infer<typeof preflightAnswer>;

export const preflightStorage = z.object({ ...asked, proof: storageProof });
export type PreflightStorage = z.infer<typeof preflightStorage>;

export const preflightAssess = z.object({ ...asked, preparation });
export type PreflightAssess = z.infer<typeof preflightAssess>;

/**
 * The part of the destination's cache that the wire would reveal to this source; requires what an admission requires.
 */
export const preflightKnown = preflightAdmission.extend({ cache: knownQuestion });
export type PreflightKnown = z.infer<typeof preflightKnown>;

export const preflightRoutes = {
  preflight: route({
    method: 'POST',
    path: '/v1/preflight',
    summary: 'What this host would answer to an admission; begins nothing',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: REPORT_BYTES,
    body: preflightAdmission,
    response: preflightAnswer,
  }),
  preflightStorage: route({
    method: 'POST',
    path: '/v1/preflight/storage',
    summary: 'Is this the same storage? Adds to the file that the caller made, and makes none',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: REPORT_BYTES,
    body: preflightStorage,
    response: storageAnswer,
  }),
  preflightAssess: route({
    method: 'POST',
    path: '/v1/preflight/assess',
    summary: 'Check a guest against this host; begins nothing',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: REPORT_BYTES,
    body: preflightAssess,
    response: assessment,
  }),
  preflightKnown: route({
    method: 'POST',
    path: '/v1/preflight/known',
    summary: 'A part of what the wire would tell this source of the cache; begins nothing',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: LARGE_BYTES,
    body: preflightKnown,
    response: knownAnswer,
  }),
};
