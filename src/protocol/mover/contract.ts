import { z } from 'zod';
import { cancelAnswer, progress } from '../public/migration.ts';
import { answersFor, resolveAnswer, runAtSide } from '../public/resolve.ts';
import { LARGE_BYTES, route } from '../route.ts';

/** A mover's API for its own host's agent, over a Unix socket. */
export const moverContract = {
  progress: route({
    method: 'GET',
    path: '/progress',
    summary: 'Where this migration stands',
    access: 'local',
    answerBytes: LARGE_BYTES,
    response: progress,
  }),
  events: route({
    method: 'GET',
    path: '/events',
    summary: 'The live view until the end',
    access: 'local',
    answerBytes: LARGE_BYTES,
    response: progress,
    stream: true,
  }),
  cancel: route({
    method: 'POST',
    path: '/cancel',
    summary: 'Ask to roll back',
    access: 'local',
    response: cancelAnswer,
  }),
  resolve: route({
    method: 'POST',
    path: '/resolve',
    summary: 'Destination: run the guest without its source, or give it up',
    access: 'local',
    bodyBytes: LARGE_BYTES,
    body: z.object({
      runAt: runAtSide,
      proof: z.enum(['ask', 'observed', 'fenced', 'operator']),
      by: z.string().max(128),
      answersFor: answersFor.optional(),
    }),
    response: resolveAnswer,
  }),
};
