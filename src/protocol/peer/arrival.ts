import { z } from 'zod';
import { guestName, hostName, migrationId } from '../names.ts';
import { check } from '../public/migration.ts';
import { route } from '../route.ts';

/** A guest that its manager moves has a mover at its source alone: what its destination sees of it, that host's agent says. */

export const arrivalQuery = z.object({
  guest: guestName,
  from: hostName,
  /** Whose manager has moved the guest. */
  driver: z.string().min(1).max(32),
});
export type ArrivalQuery = z.infer<typeof arrivalQuery>;

/** What was looked at there. */
export const arrivalAnswer = z.object({ checks: z.array(check).max(96) });
export type ArrivalAnswer = z.infer<typeof arrivalAnswer>;

/** A part of agentContract. */
export const arrivalRoutes = {
  arrival: route({
    method: 'GET',
    path: '/v1/arrivals/:id',
    summary:
      'A guest that its manager has moved here: look at its disks and its segments from outside',
    access: 'agent',
    params: z.object({ id: migrationId }),
    query: arrivalQuery,
    response: arrivalAnswer,
  }),
};
