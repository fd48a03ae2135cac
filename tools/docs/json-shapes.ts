import { z } from 'zod';
import { labels } from '../../src/protocol/labels.ts';
import { agentContract } from '../../src/protocol/contract.ts';
import { controllerContract } from '../../src/protocol/controller/contract.ts';
import { fleetGuest, listedHost } from '../../src/protocol/controller/fleet.ts';
import { fleetMigration } from '../../src/protocol/controller/history.ts';
import { fleetRequest } from '../../src/protocol/controller/fleet-request.ts';
import { requestPlan } from '../../src/protocol/controller/fleet-requests.ts';
import { requestId } from '../../src/protocol/public/order.ts';
import { checkAnswer } from '../../src/protocol/public/check.ts';
import { diskMoveId, diskMoveProgress } from '../../src/protocol/public/disk-move.ts';
import { errorBody } from '../../src/protocol/errors.ts';
import { guestLoad } from '../../src/protocol/public/hosts/guest-load.ts';
import { guestInfo } from '../../src/protocol/public/hosts/host.ts';
import {
  cancelAnswer,
  migrationSummary,
  progress,
  report,
} from '../../src/protocol/public/migration.ts';
import { planAnswer } from '../../src/protocol/public/plan.ts';
import { clearedList, leftover } from '../../src/protocol/public/leftover.ts';
import { hostName, migrationId } from '../../src/protocol/names.ts';
import { missingGuests } from '../../src/protocol/public/contract.ts';
import { resolution, resolveAnswer, unasked } from '../../src/protocol/public/resolve.ts';
import { contextName, fleetContext } from '../../src/cli/connection/fleet-contexts.ts';

const finding = z.object({
  name: z.string(),
  verdict: z.enum(['ok', 'warn', 'fail']),
  found: z.string(),
  hint: z.string().optional(),
});

const replayed = z.object({
  hours: z.number(),
  contention: z.number(),
  unserved: z.number(),
  moves: z.number(),
  failedMoves: z.number(),
  movedBytes: z.number(),
  kwh: z.number().optional(),
  hostHours: z.number(),
  wakes: z.number(),
  darkGuestHours: z.number(),
  /** What the policy could not do: by constraint, at so many looks; the words of the first one. */
  refused: z.array(z.object({ constraint: z.string(), looks: z.number(), words: z.string() })),
  byHour: z.array(z.object({ contention: z.number(), on: z.number() })),
});
const change = z.object({ now: z.number(), proposed: z.number() });

/** What --json prints, by the name that a verb's spec gives it. docs/json.md shows each. */
export const JSON_SHAPES: Readonly<Record<string, z.ZodType>> = {
  hosts: agentContract.hosts.response,
  guests: z.object({ guests: z.array(guestInfo), missing: missingGuests }),
  fleetHosts: z.object({ hosts: z.array(listedHost) }),
  fleetGuests: z.object({ guests: z.array(fleetGuest) }),
  drain: z.object({ request: fleetRequest }),
  drainPlan: z.object({ plan: requestPlan }),
  drainCancel: z.object({ id: requestId, accepted: z.boolean() }),
  roll: z.object({ request: fleetRequest }),
  rollPlan: z.object({ plan: requestPlan }),
  rollCancel: z.object({ id: requestId, accepted: z.boolean() }),
  undrain: controllerContract.undrain.response,
  requests: controllerContract.requests.response,
  request: controllerContract.request.response,
  fleetMigrations: z.object({ migrations: z.array(fleetMigration) }),
  labels: z.object({ guest: z.string(), labels }),
  guestHistory: controllerContract.guestHistory.response,
  insight: controllerContract.insight.response,
  limits: controllerContract.limits.response,
  baseline: agentContract.baseline.response,
  reloaded: agentContract.reload.response,
  maintenance: controllerContract.setMaintenance.response,
  policyLook: controllerContract.runPolicy.response,
  accepted: controllerContract.acceptProposal.response,
  proposals: controllerContract.proposals.response,
  proposal: controllerContract.proposal.response,
  policies: controllerContract.policies.response,
  policy: controllerContract.putPolicy.response,
  placement: controllerContract.place.response,
  audit: controllerContract.audit.response,
  tokens: controllerContract.tokens.response,
  sessions: controllerContract.sessions.response,
  contexts: z.object({
    contexts: z.array(fleetContext.extend({ name: contextName, current: z.boolean() })),
  }),
  newToken: controllerContract.createToken.response,
  managers: controllerContract.managers.response,
  manager: controllerContract.manager.response,
  newManager: controllerContract.addManager.response,
  guest: guestInfo.extend({
    load: guestLoad.optional(),
    check: checkAnswer.optional(),
    unchecked: z.string().optional(),
    missing: z.array(unasked),
  }),
  check: checkAnswer,
  plan: planAnswer,
  sim: z.object({
    policy: z.string(),
    was: replayed.optional(),
    would: replayed.optional(),
    proposals: z
      .array(
        z.object({
          guest: z.string(),
          host: z.string(),
          cpu: change.optional(),
          memoryBytes: change.optional(),
          words: z.string(),
        }),
      )
      .optional(),
  }),
  progress,
  report,
  detached: z.object({ id: migrationId }),
  diskMove: diskMoveProgress,
  diskMoveId: z.object({ id: diskMoveId }),
  cancel: cancelAnswer.extend({ id: z.string() }),
  migrations: z.object({
    migrations: z.array(migrationSummary),
    missing: z.array(unasked),
  }),
  resolution,
  resolved: resolveAnswer.extend({ id: migrationId, report }),
  leftovers: z.object({
    hosts: z.array(
      z.object({
        host: hostName,
        leftovers: z.array(leftover).optional(),
        cleared: clearedList.shape.cleared.optional(),
        left: clearedList.shape.left.optional(),
      }),
    ),
  }),
  doctor: z.object({ verdict: finding.shape.verdict, checks: z.array(finding) }),
  setUp: z.object({
    name: z.string(),
    address: z.string(),
    config: z.string(),
    created: z.array(z.string()),
    checks: z.array(finding),
    next: z.array(z.string()),
  }),
  controllerSetUp: z.object({
    name: z.string(),
    address: z.string(),
    url: z.string(),
    config: z.string(),
    created: z.array(z.string()),
    checks: z.array(finding),
    admin: z.object({ name: z.string(), token: z.string(), expiresAt: z.string() }),
    next: z.array(z.string()),
  }),
  supportBundle: z.object({
    file: z.string(),
    bytes: z.number(),
    parts: z.array(z.object({ name: z.string(), bytes: z.number(), cutBytes: z.number() })),
  }),
  backup: z.object({
    file: z.string(),
    bytes: z.number(),
    files: z.number(),
    notes: z.array(z.string()),
  }),
  restored: z.object({
    host: z.string(),
    madeAt: z.string(),
    files: z.number(),
    notes: z.array(z.string()),
  }),
  invitation: z.object({ name: z.string(), token: z.string(), expiresAt: z.string() }),
  version: z.object({ godwit: z.string(), protocol: z.array(z.int()), node: z.string() }),
  error: errorBody,
};
