import { z } from 'zod';
import { guestName, migrationId, moment } from '../names.ts';
import { labelRoutes } from '../labels.ts';
import { LARGE_BYTES, LIST_BYTES, REPORT_BYTES, route } from '../route.ts';
import { cacheRoutes } from './cache.ts';
import { checkAnswer, checkRequest } from './check.ts';
import { diskMoveRoutes } from './disk-move-routes.ts';
import { eventId, hostEvent } from './hosts/host-event.ts';
import { guestLoadRoutes } from './hosts/guest-load.ts';
import { guestInfo, hostEntry, hostInfo } from './hosts/host.ts';
import { leftoverRoutes } from './leftover.ts';
import {
  cancelAnswer,
  check,
  migrationRequest,
  migrationSummary,
  progress,
  report,
} from './migration.ts';
import { orderQuery, requestId } from './order.ts';
import { planAnswer, planRequest } from './plan.ts';
import {
  BEGINNING,
  BY_ID,
  CANCELLING,
  CHECKED,
  LOOKING,
  ORDERED,
  OTHER_HOST,
  STARTING,
} from '../route-errors.ts';
import { maintenanceRoutes } from './hosts/maintenance-routes.ts';
import { managedHost } from './hosts/managed-host.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from './page.ts';
import { processorRoutes } from './hosts/processor.ts';
import { reloadRoutes } from './reload.ts';
import { rotationRoutes } from './rotation.ts';
import { trustRoutes } from './trust.ts';
import { resolution, resolveAnswer, resolveRequest, unasked } from './resolve.ts';

const byId = z.object({ id: migrationId });
/** `true`: everything is checked that is checked before it is done, and nothing is done. */
const dryRun = z.object({ dryRun: z.enum(['true', 'false']).default('false') });
const done = z.object({ ok: z.literal(true) });

/** With scope `all`: the hosts that gave no answer. While there is one, the list is incomplete. */
const missingHosts = z.array(unasked).max(10_000);

/** Users’ programs import it from the published contract. */
export type { CancelAnswer } from './migration.ts';

/**
 * Hosts of which guests may be missing: they gave no answer, or a driver of theirs is silent. `asOf`: the list has the
 * guests of that driver as it listed them then.
 */
export const missingGuests = z.array(unasked.extend({ asOf: moment.optional() })).max(10_000);
export type MissingGuests = z.infer<typeof missingGuests>[number];

/** What is asked of a migration, with an id of the caller's own by which it may be asked again. */
export const migrationStart = migrationRequest.extend({ id: migrationId.optional() });

/** A host’s agent, for the CLI, for other programs and for a controller. */
export const publicRoutes = {
  health: route({
    method: 'GET',
    path: '/health',
    summary: 'Answers once the agent serves',
    access: 'anyone',
    response: done,
    errors: [],
  }),
  openapi: route({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This API as an OpenAPI document',
    access: 'anyone',
    answerBytes: REPORT_BYTES,
    response: z.record(z.string(), z.unknown()),
    errors: [],
  }),
  host: route({
    method: 'GET',
    path: '/v1/host',
    summary: 'Inventory of this host',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    response: hostInfo,
    errors: LOOKING,
  }),
  hosts: route({
    method: 'GET',
    path: '/v1/hosts',
    summary: 'This host and its peers, as far as they answer',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: z.object({ hosts: z.array(hostEntry).max(10_000) }),
    errors: LOOKING,
  }),
  guests: route({
    method: 'GET',
    path: '/v1/guests',
    summary: 'Guests of this host, or of this host and all peers',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object({
      scope: z.enum(['local', 'all']).default('local'),
      /** Look at each guest again, however new the inventory is. */
      fresh: z.enum(['true', 'false']).default('false'),
      /** Only guests of this name. */
      name: guestName.optional(),
      ...pageQuery(MAX_PER_PAGE),
    }),
    response: z.object({
      guests: z.array(guestInfo).max(100_000),
      /** With the first page of this host's own: guests that left it in the last minute. */
      left: z.array(guestInfo).max(MAX_PER_PAGE).optional(),
      missing: missingGuests.optional(),
      /** When this host's own were looked at. */
      observedAt: moment.optional(),
      next: cursor.optional(),
    }),
    errors: LOOKING,
  }),
  guest: route({
    method: 'GET',
    path: '/v1/guests/:guest',
    summary: 'One guest of this host',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    params: z.object({ guest: guestName }),
    response: guestInfo,
    errors: [...LOOKING, 'GODWIT_GUEST_UNKNOWN'],
  }),
  ...guestLoadRoutes,
  ...labelRoutes,
  managedHosts: route({
    method: 'GET',
    path: '/v1/managed/hosts',
    summary: 'Hosts of the manager that this agent speaks to; none where it speaks to none',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object(pageQuery(MAX_PER_PAGE)),
    response: z.object({
      hosts: z.array(managedHost).max(MAX_PER_PAGE),
      next: cursor.optional(),
    }),
    errors: LOOKING,
  }),
  ...maintenanceRoutes,
  hostEvents: route({
    method: 'GET',
    path: '/v1/events',
    summary: 'What happens on this host: its guests and its migrations, each event with an id',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    query: z.object({
      after: eventId.optional(),
      /** Also how busy the host is, one sample in 10 s; each has the id of the event before it. */
      load: z.enum(['true', 'false']).default('false'),
    }),
    response: hostEvent,
    stream: true,
    framing: 'events',
    errors: [],
  }),
  migrate: route({
    method: 'POST',
    path: '/v1/migrations',
    summary: 'Start moving a guest of this host; answers as soon as its mover runs',
    access: 'operator',
    body: migrationStart,
    response: z.object({ id: migrationId }),
    errors: BEGINNING,
  }),
  putMigration: route({
    method: 'PUT',
    path: '/v1/migrations/:id',
    summary:
      'Start moving a guest of this host under an id of the caller’s; asked again it answers the same',
    access: 'orders',
    answerBytes: LARGE_BYTES,
    params: byId,
    query: dryRun.extend(orderQuery),
    body: migrationRequest,
    response: z.object({
      id: migrationId,
      started: z.boolean(),
      /** Of a dry run: every check, none of which refuses. */
      checks: z.array(check).max(256).optional(),
    }),
    errors: [...BEGINNING, ...CHECKED, ...ORDERED],
  }),
  check: route({
    method: 'POST',
    path: '/v1/checks',
    summary:
      'Check whether a guest of this host could move, to one host or to each of its peers; begins nothing',
    access: 'orders',
    answerBytes: LIST_BYTES,
    audited: 'never',
    body: checkRequest,
    response: checkAnswer,
    errors: BEGINNING,
  }),
  plan: route({
    method: 'POST',
    path: '/v1/plans',
    summary:
      'Check a migration and predict what it would cost: measures the guest and the link for some seconds, begins nothing',
    access: 'orders',
    answerBytes: REPORT_BYTES,
    audited: 'never',
    body: planRequest,
    response: planAnswer,
    errors: BEGINNING,
  }),
  migrations: route({
    method: 'GET',
    path: '/v1/migrations',
    summary: 'Migrations that this host, or it and all peers, took part in, newest first',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object({
      /** `all`: the newest of all hosts, each once, in one page. */
      scope: z.enum(['local', 'all']).default('local'),
      ...pageQuery(100),
    }),
    response: z.object({
      migrations: z.array(migrationSummary).max(MAX_PER_PAGE),
      missing: missingHosts.optional(),
      next: cursor.optional(),
    }),
    errors: [],
  }),
  migration: route({
    method: 'GET',
    path: '/v1/migrations/:id',
    summary: 'One migration: where it stands now, and this host’s side of it',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    params: byId,
    response: migrationSummary,
    errors: BY_ID,
  }),
  progress: route({
    method: 'GET',
    path: '/v1/migrations/:id/progress',
    summary: 'Where a migration stands now',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    params: byId,
    response: progress,
    replacedBy: 'migration',
    errors: BY_ID,
  }),
  events: route({
    method: 'GET',
    path: '/v1/migrations/:id/events',
    summary: 'The live view, one line per change, until the migration ends',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    params: byId,
    response: progress,
    stream: true,
    errors: BY_ID,
  }),
  report: route({
    method: 'GET',
    path: '/v1/migrations/:id/report',
    summary: 'What was done, with measurements',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: byId,
    response: report,
    errors: BY_ID,
  }),
  cancel: route({
    method: 'POST',
    path: '/v1/migrations/:id/cancel',
    summary: 'Ask to roll a migration back; says at once what will happen',
    access: 'orders',
    params: byId,
    /** `request`: the one of the fleet that it is a move of, which does not move the guest again. */
    query: z.object({ ...orderQuery, request: requestId.optional() }),
    response: cancelAnswer,
    errors: CANCELLING,
  }),
  resolution: route({
    method: 'GET',
    path: '/v1/migrations/:id/resolution',
    summary: 'Both sides of a migration, and what each answer to it risks',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: byId,
    response: resolution,
    errors: [...BY_ID, ...LOOKING, ...OTHER_HOST],
  }),
  resolve: route({
    method: 'POST',
    path: '/v1/migrations/:id/resolve',
    summary: 'A person decides where the guest of a held migration is to run',
    access: 'operator',
    bodyBytes: LARGE_BYTES,
    params: byId,
    body: resolveRequest,
    response: resolveAnswer,
    errors: [
      ...BY_ID,
      ...LOOKING,
      ...OTHER_HOST,
      ...STARTING,
      'GODWIT_USAGE',
      'GODWIT_RESOLVE_REFUSED',
      'GODWIT_RESOLVE_UNPROVED',
      'GODWIT_NOT_ARMED',
    ],
  }),
  ...leftoverRoutes,
  ...processorRoutes,
  ...trustRoutes,
  ...rotationRoutes,
  ...reloadRoutes,
  ...cacheRoutes,
  ...diskMoveRoutes,
};
