import { z } from 'zod';
import { shortText } from '../names.ts';
import { route } from '../route.ts';

/** A problem of the controller itself: what it is about, what was found, and how to fix it. */
export const ownProblem = z.object({
  about: z.enum(['disk', 'database', 'certificate', 'fleet-list']),
  /** `bad`: something does not work now. `warn`: it will not work soon. */
  severity: z.enum(['warn', 'bad']),
  words: shortText,
  hint: shortText,
});
export type OwnProblem = z.infer<typeof ownProblem>;

const MAX_PROBLEMS = 16;

export const ownProblemRoutes = {
  ownProblems: route({
    method: 'GET',
    path: '/v1/problems',
    summary:
      'Problems of this controller itself: its disk, its database, its certificate and its fleet list',
    access: 'viewer',
    response: z.object({
      controller: z.string().max(64),
      problems: z.array(ownProblem).max(MAX_PROBLEMS),
    }),
    errors: [],
  }),
};
