import { z } from 'zod';
import { bytes, guestName, hostName, moment } from '../names.ts';
import { guestInfo } from '../public/hosts/host.ts';
import { eventId } from '../public/hosts/host-event.ts';
import { LIST_BYTES, route } from '../route.ts';
import { hostState } from './fleet.ts';

export const MAX_HOSTS = 100_000;
const MAX_OVERVIEW_GUESTS = 1_000_000;

const count = z.number().int().nonnegative();
const share = z.number().min(0).max(1);

/** A tuple, because there are thousands. */
const overviewHost = z.tuple([
  hostName,
  hostState,
  /** Cores, memory and available memory, bytes; null without a report. */
  count.nullable(),
  bytes.nullable(),
  bytes.nullable(),
  /** Used share of the processors; null without a sample at the called controller. */
  share.nullable(),
  /** Share of time that tasks waited for a processor, memory or a disk: the highest of the three. */
  share.nullable(),
  /** 1: a request drains or drained it. */
  z.union([z.literal(0), z.literal(1)]),
  count,
]);
export type OverviewHost = z.infer<typeof overviewHost>;

const overviewReport = guestInfo.pick({ uuid: true, epoch: true, migration: true, moving: true });

/** Guest: name, index of its host, bytes of memory, state, and its report's order. */
const overviewGuest = z.tuple([
  guestName,
  count,
  bytes.nullable(),
  guestInfo.shape.state,
  overviewReport.optional(),
]);
export type OverviewGuest = z.infer<typeof overviewGuest>;

export const overview = z.object({
  at: moment,
  /** Includes this controller's events up to this one. */
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
