import { z } from 'zod';
import { bytes, guestName, hostName, moment } from '../names.ts';
import { guestInfo } from '../public/hosts/host.ts';
import { eventId } from '../public/hosts/host-event.ts';
import { LIST_BYTES, route } from '../route.ts';
import { hostState } from './fleet.ts';

/** The most that one overview has. */
export const MAX_HOSTS = 100_000;
const MAX_OVERVIEW_GUESTS = 1_000_000;

const count = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

/** A host as a tuple, so that thousands of them stay small. */
const overviewHost = z.tuple([
  hostName,
  hostState,
  /** Cores, bytes of memory and those available; null where its host has not reported. */
  count.nullable(),
  bytes.nullable(),
  bytes.nullable(),
  /** How much of its processors was used; null where the controller that is asked has no sample of it. */
  share.nullable(),
  /** How much of the time something waited for a processor, memory or a disk: the greatest of the three. */
  share.nullable(),
  /** 1: a request empties it, or has. */
  z.union([z.literal(0), z.literal(1)]),
  /** Its guests. */
  count,
]);
export type OverviewHost = z.infer<typeof overviewHost>;

/** Of a guest that moves, or of which there are several reports: what tells which report is the newest. */
const overviewReport = guestInfo.pick({ uuid: true, epoch: true, migration: true, moving: true });

/** A guest: name, the place of its host in the list of hosts, bytes of memory, state, and its report's order. */
const overviewGuest = z.tuple([
  guestName,
  count,
  bytes.nullable(),
  guestInfo.shape.state,
  overviewReport.optional(),
]);
export type OverviewGuest = z.infer<typeof overviewGuest>;

/** All hosts and guests, as little of each as a page that shows all of them needs. */
export const overview = z.object({
  /** When the controller looked. */
  at: moment,
  /** It has the effects of all events of this controller up to this one. */
  after: eventId.optional(),
  hosts: z.array(overviewHost).max(MAX_HOSTS),
  guests: z.array(overviewGuest).max(MAX_OVERVIEW_GUESTS),
});
export type Overview = z.infer<typeof overview>;

export const overviewRoute = route({
  method: 'GET',
  path: '/v1/overview',
  summary: 'All hosts and guests in short, by name, for a page that shows all of them',
  access: 'viewer',
  answerBytes: LIST_BYTES,
  response: overview,
  errors: ['GODWIT_STORE'],
});
