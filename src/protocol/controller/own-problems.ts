import { z } from 'zod';
import { shortText } from '../names.ts';
import { route } from '../route.ts';

export const ownProblem = z.object({
  about: z.enum(['disk', 'database', 'certificate', 'fleet-list']),
  /** `bad`: something fails now. `warn`: it will soon. */
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
