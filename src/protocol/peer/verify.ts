import { z } from 'zod';
import { check } from '../public/migration.ts';
import { REPORT_BYTES, route } from '../route.ts';
import { epochBody } from './migration.ts';

export const verifyAnswer = z.object({
  checks: z.array(check).max(96),
  /** The hypervisor's report of the machine now, parsed by the source's driver. Absent: not compared. */
  machine: z.unknown().optional(),
});
export type VerifyAnswer = z.infer<typeof verifyAnswer>;

export const verifyRoutes = {
  verify: route({
    method: 'POST',
    path: '/v1/verify',
    summary: 'The guest runs: look at its disks, its segments and its connections from outside',
    access: 'agent',
    answerBytes: REPORT_BYTES,
    body: epochBody,
    response: verifyAnswer,
  }),
};
