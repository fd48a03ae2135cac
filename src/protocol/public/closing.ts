import { z } from 'zod';
import { guestName, hostName, migrationId, moment } from '../names.ts';
import { LOOKING } from '../route-errors.ts';
import { REPORT_BYTES, route } from '../route.ts';
import { requestId } from './order.ts';

/** Far more than a host runs. */
const MAX_GUESTS = 10_000;
const byHost = z.object({ host: hostName });
const CLOSING = [...LOOKING, 'GODWIT_HOST_UNKNOWN'] as const;

const underWay = z.object({
  guest: guestName,
  migration: migrationId,
  from: hostName,
  to: hostName,
});

/** A host's content at the time of the answer; each guest was looked at for it. */
export const occupancy = z.object({
  guests: z.array(guestName).max(MAX_GUESTS),
  /** Migrations to and from it, including held and unreadable ones. */
  underWay: z.array(underWay).max(MAX_GUESTS),
});
export type Occupancy = z.infer<typeof occupancy>;

export const MAX_CLOSED_MS = 600_000;

export const closingRoutes = {
  occupancy: route({
    method: 'GET',
    path: '/v1/hosts/:host/occupancy',
    summary:
      'Guests that are on this host, or on a host of its manager, and migrations to and from it; each guest is looked at for the answer',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: byHost,
    response: occupancy,
    errors: CLOSING,
  }),
  closeHost: route({
    method: 'PUT',
    path: '/v1/hosts/:host/closed',
    summary:
      'Refuse guests of other hosts for a while, whoever sends them; asked again, for longer',
    access: 'orders',
    params: byHost,
    body: z.object({ request: requestId, forMs: z.number().int().min(1).max(MAX_CLOSED_MS) }),
    response: z.object({ until: moment }),
    errors: CLOSING,
  }),
  openHost: route({
    method: 'DELETE',
    path: '/v1/hosts/:host/closed',
    summary:
      'Admit guests of other hosts again, if this request, or any where none is named, closed the host',
    access: 'orders',
    params: byHost,
    query: z.object({ request: requestId.optional() }),
    response: z.object({ ok: z.literal(true) }),
    errors: CLOSING,
  }),
};
