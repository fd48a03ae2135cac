import { z } from 'zod';
import { agentContract } from '../protocol/contract.ts';
import { cancelAnswer } from '../protocol/public/contract.ts';
import { checkAnswer } from '../protocol/public/check.ts';
import { diskMoveId, diskMoveProgress } from '../protocol/public/disk-move.ts';
import { errorBody } from '../protocol/errors.ts';
import { guestInfo } from '../protocol/public/host.ts';
import { migrationSummary, progress, report } from '../protocol/public/migration.ts';
import { planAnswer } from '../protocol/public/plan.ts';
import { clearedList, leftover } from '../protocol/public/leftover.ts';
import { hostName, migrationId } from '../protocol/names.ts';
import { resolution, resolveAnswer, unasked } from '../protocol/public/resolve.ts';

const finding = z.object({
  name: z.string(),
  verdict: z.enum(['ok', 'warn', 'fail']),
  found: z.string(),
  hint: z.string().optional(),
});

/** What --json prints, by the name that a verb's spec gives it. docs/cli.md shows each. */
export const JSON_SHAPES: Readonly<Record<string, z.ZodType>> = {
  hosts: agentContract.hosts.response,
  guests: z.object({ guests: z.array(guestInfo), missing: z.array(unasked) }),
  guest: guestInfo.extend({
    check: checkAnswer.optional(),
    unchecked: z.string().optional(),
    missing: z.array(unasked),
  }),
  check: checkAnswer,
  plan: planAnswer,
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
  invitation: z.object({ name: z.string(), token: z.string(), expiresAt: z.string() }),
  version: z.object({ godwit: z.string(), protocol: z.array(z.int()), node: z.string() }),
  error: errorBody,
};
