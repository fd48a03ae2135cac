import { z } from 'zod';
import { helloRoutes } from '../hello.ts';
import { labelFilter } from '../labels.ts';
import { guestName, hostName } from '../names.ts';
import { guestInfo } from '../public/hosts/host.ts';
import { eventId } from '../public/hosts/host-event.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from '../public/page.ts';
import { planAnswer, planRequest } from '../public/plan.ts';
import { LARGE_BYTES, LIST_BYTES, REPORT_BYTES, route } from '../route.ts';
import { CHECKED, STARTING, TAKING_HOLD } from '../route-errors.ts';
import { fleetEvent } from './events.ts';
import { overviewRoute } from './overview.ts';
import { sessionRoutes } from './session.ts';
import { tokenRoutes } from './tokens.ts';
import { ownProblemRoutes } from './own-problems.ts';
import { policyRoutes } from './policies.ts';
import { auditRoutes } from './audit.ts';
import { historyRoutes } from './history.ts';
import { limitRoutes } from './limits.ts';
import { maintenanceRoutes } from './maintenance.ts';
import { managerRoutes } from './managers.ts';
import { requestRoutes } from './fleet-requests.ts';
import {
  fleetGuest,
  fleetGuestDetail,
  fleetHostDetail,
  guestSamplePoint,
  hostState,
  listedHost,
  samplePoint,
} from './fleet.ts';

export const STORING = ['GODWIT_STORE'] as const;

const count = z.number().int().nonnegative();

/** Characters; the text does not grow with the fleet. */
const MAX_METRICS = 4 * 1024 * 1024;

const USUAL = 200;

export const controllerContract = {
  ...helloRoutes,
  health: route({
    method: 'GET',
    path: '/health',
    summary: 'Answers once the controller serves and its database answers',
    access: 'anyone',
    response: z.object({ ok: z.literal(true) }),
    errors: STORING,
  }),
  live: route({
    method: 'GET',
    path: '/healthz',
    summary: 'Answers while the controller runs, whatever its database does',
    access: 'anyone',
    response: z.object({ ok: z.literal(true) }),
    errors: [],
  }),
  ready: route({
    method: 'GET',
    path: '/readyz',
    summary: 'Answers once the controller can do its work: it serves and its database answers',
    access: 'anyone',
    response: z.object({ ok: z.literal(true) }),
    errors: STORING,
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
  metrics: route({
    method: 'GET',
    path: '/metrics',
    summary: 'What Prometheus reads',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    text: 'text/plain; version=0.0.4; charset=utf-8',
    response: z.string().max(MAX_METRICS),
    errors: [...STORING, 'GODWIT_OVERLOADED'],
  }),
  hosts: route({
    method: 'GET',
    path: '/v1/hosts',
    summary: 'The hosts of the fleet, by name',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object({ state: hostState.optional(), ...pageQuery(USUAL) }),
    response: z.object({ hosts: z.array(listedHost).max(MAX_PER_PAGE), next: cursor.optional() }),
    errors: STORING,
  }),
  host: route({
    method: 'GET',
    path: '/v1/hosts/:host',
    summary: 'One host of the fleet, with all that it said of itself last',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: z.object({ host: hostName }),
    response: fleetHostDetail,
    errors: [...STORING, 'GODWIT_HOST_UNKNOWN'],
  }),
  samples: route({
    method: 'GET',
    path: '/v1/hosts/:host/samples',
    summary:
      'How busy a host was, oldest first: samples of the last minutes where this controller follows it, or roll-ups',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    params: z.object({ host: hostName }),
    query: z.object({ span: z.enum(['sample', 'minute', 'hour']).default('minute') }),
    response: z.object({ points: z.array(samplePoint).max(10_000) }),
    errors: [...STORING, 'GODWIT_HOST_UNKNOWN'],
  }),
  guests: route({
    method: 'GET',
    path: '/v1/guests',
    summary: 'The guests of the fleet, by name, as each host last reported them',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object({
      host: hostName.optional(),
      name: guestName.optional(),
      label: labelFilter.optional(),
      find: z.string().min(1).max(63).optional(),
      state: guestInfo.shape.state.optional(),
      /** `true`: only guests without known obstacles to a move. */
      movable: z.enum(['true', 'false']).optional(),
      ...pageQuery(USUAL),
    }),
    response: z.object({
      guests: z.array(fleetGuest).max(MAX_PER_PAGE),
      next: cursor.optional(),
    }),
    errors: STORING,
  }),
  guest: route({
    method: 'GET',
    path: '/v1/guests/:guest',
    summary: 'All guests of one name, mostly one, with all that their hosts said of them last',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: z.object({ guest: guestName }),
    response: z.object({ guests: z.array(fleetGuestDetail).max(MAX_PER_PAGE) }),
    errors: [...STORING, 'GODWIT_GUEST_UNKNOWN'],
  }),
  guestSamples: route({
    method: 'GET',
    path: '/v1/guests/:guest/samples',
    summary:
      'How many cores a guest used, oldest first: over the last three hours (`look`), or hour by hour over the last seven days',
    access: 'viewer',
    params: z.object({ guest: guestName }),
    query: z.object({ span: z.enum(['look', 'hour']).default('look') }),
    response: z.object({ points: z.array(guestSamplePoint).max(2000) }),
    errors: [...STORING, 'GODWIT_GUEST_UNKNOWN', 'GODWIT_OVERLOADED'],
  }),
  figures: route({
    method: 'GET',
    path: '/v1/figures',
    summary: 'What this controller has done since it began',
    access: 'viewer',
    response: z.object({
      followed: count,
      samples: count,
      /** Hosts with unwritten data. */
      unwritten: count,
    }),
    errors: [],
  }),
  events: route({
    method: 'GET',
    path: '/v1/events',
    summary: 'What happens on the hosts that this controller follows, each event with an id',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    query: z.object({ after: eventId.optional() }),
    response: fleetEvent,
    stream: true,
    framing: 'events',
    errors: [],
  }),
  overview: overviewRoute,
  plan: route({
    method: 'POST',
    path: '/v1/plans',
    summary:
      'Check a move and predict what it would cost, in other modes too where asked: the guest’s host measures the guest and the link for some seconds, and begins nothing',
    access: 'operator',
    answerBytes: REPORT_BYTES,
    bodyBytes: LARGE_BYTES,
    audited: 'never',
    body: planRequest,
    response: planAnswer,
    errors: [
      ...TAKING_HOLD,
      ...STARTING,
      ...CHECKED,
      ...STORING,
      'GODWIT_HOST_UNKNOWN',
      'GODWIT_SAME_HOST',
    ],
  }),
  ...requestRoutes,
  ...historyRoutes,
  ...auditRoutes,
  ...limitRoutes,
  ...maintenanceRoutes,
  ...sessionRoutes,
  ...tokenRoutes,
  ...managerRoutes,
  ...policyRoutes,
  ...ownProblemRoutes,
};
