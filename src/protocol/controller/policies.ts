import { z } from 'zod';
import { bytes, hostName, shortText } from '../names.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from '../public/page.ts';
import { requestId } from '../public/order.ts';
import { LARGE_BYTES, LIST_BYTES, REPORT_BYTES, route } from '../route.ts';
import {
  policy,
  policyKind,
  policyScope,
  policySettings,
  proposal,
  proposalId,
  proposalState,
} from './policy.ts';

const STORING = ['GODWIT_STORE'] as const;
const ofPolicy = z.object({ scope: policyScope, kind: policyKind });
const byId = z.object({ id: proposalId });
const MAX_POLICIES = 1000;
const USUAL = 100;

export const policyRoutes = {
  policies: route({
    method: 'GET',
    path: '/v1/policies',
    summary: 'The standing policies, and what each of them saw when it looked last',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    response: z.object({ policies: z.array(policy).max(MAX_POLICIES) }),
    errors: STORING,
  }),
  putPolicy: route({
    method: 'PUT',
    path: '/v1/policies/:scope/:kind',
    summary: 'Set a policy of the fleet, or of a group of hosts under a name of the caller’s',
    access: 'operator',
    answerBytes: REPORT_BYTES,
    bodyBytes: LARGE_BYTES,
    params: ofPolicy,
    /** The `setAtMs` that the caller has read, 0: none. Protects a concurrent change. */
    query: z.object({ ifSetAtMs: z.coerce.number().int().min(0).optional() }),
    body: policySettings,
    response: policy,
    errors: [
      ...STORING,
      'GODWIT_USAGE',
      'GODWIT_HOST_UNKNOWN',
      'GODWIT_POLICY_OVERLAP',
      'GODWIT_POLICY_CHANGED',
    ],
  }),
  removePolicy: route({
    method: 'DELETE',
    path: '/v1/policies/:scope/:kind',
    summary: 'Remove the policy of a group; its hosts are the fleet’s again',
    access: 'operator',
    params: ofPolicy,
    response: z.object({ ok: z.literal(true) }),
    errors: [...STORING, 'GODWIT_USAGE', 'GODWIT_POLICY_UNKNOWN'],
  }),
  runPolicy: route({
    method: 'POST',
    path: '/v1/policies/:scope/:kind/look',
    summary:
      'Look now and answer with what the policy proposes; a dry run stores nothing, and nothing moves by either',
    access: 'operator',
    answerBytes: LIST_BYTES,
    params: ofPolicy,
    query: z.object({ dryRun: z.enum(['true', 'false']).default('false') }),
    response: z.object({
      words: shortText,
      refusals: z.array(shortText).max(100),
      proposals: z.array(proposal).max(MAX_PER_PAGE),
    }),
    errors: [...STORING, 'GODWIT_POLICY_UNKNOWN'],
  }),
  proposals: route({
    method: 'GET',
    path: '/v1/proposals',
    summary: 'What policies proposed, newest first, and what became of it',
    access: 'viewer',
    answerBytes: LIST_BYTES,
    query: z.object({
      state: proposalState.optional(),
      kind: policyKind.optional(),
      scope: policyScope.optional(),
      ...pageQuery(USUAL),
    }),
    response: z.object({
      proposals: z.array(proposal).max(MAX_PER_PAGE),
      next: cursor.optional(),
    }),
    errors: STORING,
  }),
  proposal: route({
    method: 'GET',
    path: '/v1/proposals/:id',
    summary: 'One proposal',
    access: 'viewer',
    answerBytes: REPORT_BYTES,
    params: byId,
    response: proposal,
    errors: [...STORING, 'GODWIT_PROPOSAL_UNKNOWN'],
  }),
  acceptProposal: route({
    method: 'POST',
    path: '/v1/proposals/:id/accept',
    summary:
      'Ask for the moves of a proposal; where its policy’s mode is approve, of all that its look made',
    access: 'operator',
    answerBytes: LIST_BYTES,
    params: byId,
    response: z.object({
      accepted: z.array(proposalId).max(MAX_PER_PAGE),
      requests: z.array(requestId).max(100_000),
    }),
    errors: [
      ...STORING,
      'GODWIT_PROPOSAL_UNKNOWN',
      'GODWIT_PROPOSAL_CLOSED',
      'GODWIT_REQUEST_OPEN',
    ],
  }),
  rejectProposal: route({
    method: 'POST',
    path: '/v1/proposals/:id/reject',
    summary: 'Reject a proposal with a reason; the same is not proposed again for a time',
    access: 'operator',
    answerBytes: REPORT_BYTES,
    params: byId,
    body: z.strictObject({ reason: shortText.min(1) }),
    response: proposal,
    errors: [...STORING, 'GODWIT_PROPOSAL_UNKNOWN', 'GODWIT_PROPOSAL_CLOSED'],
  }),
  snoozeProposal: route({
    method: 'POST',
    path: '/v1/proposals/:id/snooze',
    summary: 'Put a proposal off: the same is proposed again after that time if it is still of use',
    access: 'operator',
    answerBytes: REPORT_BYTES,
    params: byId,
    body: z.strictObject({
      forMs: z
        .number()
        .int()
        .min(60_000)
        .max(30 * 86_400_000),
    }),
    response: proposal,
    errors: [...STORING, 'GODWIT_PROPOSAL_UNKNOWN', 'GODWIT_PROPOSAL_CLOSED'],
  }),
  place: route({
    method: 'POST',
    path: '/v1/placements',
    summary: 'The best host for a guest that starts now; starts and reserves nothing',
    access: 'viewer',
    audited: 'never',
    body: z.strictObject({
      memoryBytes: bytes.min(1),
      vcpus: z.number().int().min(1).max(4096),
      labels: z.record(z.string().max(63), z.string().max(63)).default({}),
      hosts: z.array(hostName).min(1).max(10_000).optional(),
    }),
    response: z.object({
      host: hostName.optional(),
      words: shortText,
      alternatives: z.array(hostName).max(2),
    }),
    errors: [...STORING, 'GODWIT_USAGE', 'GODWIT_HOST_UNKNOWN'],
  }),
};
