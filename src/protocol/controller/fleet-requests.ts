import { z } from 'zod';
import { bytes, hostName, shortText } from '../names.ts';
import { requestId } from '../public/order.ts';
import { LARGE_BYTES, LIST_BYTES, route } from '../route.ts';
import { measuredLine } from './measured-line.ts';
import {
  move,
  plannedStep,
  stay,
  waiting,
  fleetRequest,
  requestAsk,
  requestMode,
} from './fleet-request.ts';

const STORING = ['GODWIT_STORE'] as const;
const byId = z.object({ id: requestId });

export const requestPlan = z.object({
  steps: z.array(plannedStep.extend({ from: hostName })).max(10_000),
  parallel: z.number().int().min(1),
  seconds: z.number().nonnegative(),
  /** Parts of the prediction that come from earlier migrations. */
  fromHistory: z.array(shortText).max(8).optional(),
  late: z.array(z.string().max(64)).max(10_000),
  /** The bottleneck: bytes over the busiest link, in words; absent if nothing moves. */
  through: shortText.optional(),
  stays: z.array(stay).max(10_000),
  waiting: z.array(waiting).max(10_000),
  /** Line shared by an evacuation's moves, with their bytes and cost. */
  line: z
    .object({
      bytesPerS: z.number().nonnegative(),
      roundTripMs: z.number().nonnegative(),
      bytes,
      budgetBytes: bytes.optional(),
      cost: z.number().nonnegative(),
      measured: measuredLine.optional(),
    })
    .optional(),
  maintenanceMode: requestMode
    .pick({ moves: true, words: true })
    .extend({ host: hostName })
    .optional(),
  /** Hosts whose guests are unknown, in words. */
  blind: z.array(shortText).max(10_000),
});
export type FleetRequestPlan = z.infer<typeof requestPlan>;

export const requestRoutes = {
  putRequest: route({
    method: 'PUT',
    path: '/v1/requests/:id',
    summary:
      'Ask for something under an id of the caller’s, and answer with the plan; a dry run stores nothing',
    access: 'operator',
    answerBytes: LIST_BYTES,
    bodyBytes: LARGE_BYTES,
    params: byId,
    query: z.object({ dryRun: z.enum(['true', 'false']).default('false') }),
    body: requestAsk,
    response: z.object({ started: z.boolean(), plan: requestPlan }),
    errors: [
      ...STORING,
      'GODWIT_USAGE',
      'GODWIT_HOST_UNKNOWN',
      'GODWIT_GUEST_UNKNOWN',
      'GODWIT_REQUEST_OPEN',
      'GODWIT_REQUEST_TAKEN',
      'GODWIT_REQUEST_LATE',
    ],
  }),
  requests: route({
    method: 'GET',
    path: '/v1/requests',
    summary: 'What was asked of the fleet, newest first, and how far each of it is',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: z.object({ requests: z.array(fleetRequest).max(1000) }),
    errors: STORING,
  }),
  request: route({
    method: 'GET',
    path: '/v1/requests/:id',
    summary: 'One request, with all of its moves',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    params: byId,
    response: z.object({ request: fleetRequest, moves: z.array(move).max(30_000) }),
    errors: [...STORING, 'GODWIT_REQUEST_UNKNOWN'],
  }),
  cancelRequest: route({
    method: 'POST',
    path: '/v1/requests/:id/cancel',
    summary: 'Begin nothing more for a request; moves under way go on, or are rolled back too',
    access: 'operator',
    params: byId,
    query: z.object({ rollBack: z.enum(['true', 'false']).default('false') }),
    response: z.object({ accepted: z.boolean() }),
    errors: [...STORING, 'GODWIT_REQUEST_UNKNOWN'],
  }),
  undrain: route({
    method: 'DELETE',
    path: '/v1/hosts/:host/drain',
    summary:
      'Let guests come to a host again; a drain of it that is open is cancelled, and an evacuation goes on without it',
    access: 'operator',
    params: z.object({ host: hostName }),
    response: z.object({ ok: z.literal(true) }),
    errors: [
      ...STORING,
      'GODWIT_HOST_UNKNOWN',
      'GODWIT_REQUEST_UNKNOWN',
      'GODWIT_UNREACHABLE',
      'GODWIT_CAPABILITY',
      'GODWIT_HYPERVISOR',
      'GODWIT_MANAGER_DENIED',
    ],
  }),
};
