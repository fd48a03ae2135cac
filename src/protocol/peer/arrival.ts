import { z } from 'zod';
import { guestName, hostName, migrationId, moment } from '../names.ts';
import { check } from '../public/migration.ts';
import { LARGE_BYTES, route } from '../route.ts';

/**
 * A guest that its manager moves has a mover only at its source, so the destination's agent reports what it observes.
 */

export const arrivalQuery = z.object({
  guest: guestName,
  from: hostName,
  driver: z.string().min(1).max(32),
});
export type ArrivalQuery = z.infer<typeof arrivalQuery>;

export const arrivalAnswer = z.object({ checks: z.array(check).max(96) });
export type ArrivalAnswer = z.infer<typeof arrivalAnswer>;

/**
 * A host expects a guest from its manager for at most this time, ms. The manager lists the guest there seconds after
 * its order.
 */
export const MAX_EXPECTED_MS = 600_000;

export const expectedGuest = z.object({
  guest: guestName,
  from: hostName,
  forMs: z.number().int().min(1).max(MAX_EXPECTED_MS),
});
export type ExpectedGuest = z.infer<typeof expectedGuest>;

export const arrivalRoutes = {
  arrival: route({
    method: 'GET',
    path: '/v1/arrivals/:id',
    summary:
      'A guest that its manager has moved here: look at its disks and its segments from outside',
    access: 'agent',
    answerBytes: LARGE_BYTES,
    params: z.object({ id: migrationId }),
    query: arrivalQuery,
    response: arrivalAnswer,
  }),
  expectArrival: route({
    method: 'PUT',
    path: '/v1/arrivals/:id',
    summary:
      'A guest of the caller that its manager is about to move here: refused while a request empties this host, and counted there until it is listed; asked again, for longer',
    access: 'agent',
    params: z.object({ id: migrationId }),
    body: expectedGuest,
    response: z.object({ until: moment }),
  }),
  dropArrival: route({
    method: 'DELETE',
    path: '/v1/arrivals/:id',
    summary: 'The migration of a guest that was announced here has ended',
    access: 'agent',
    params: z.object({ id: migrationId }),
    query: z.object({ from: hostName }),
    response: z.object({ ok: z.literal(true) }),
  }),
};
