import { z } from 'zod';
import { check } from '../public/migration.ts';
import { REPORT_BYTES, route } from '../route.ts';
import { epochBody } from './migration.ts';

/** Source mover -> destination mover, once the guest runs there: what does your host see of it? */
export const verifyAnswer = z.object({
  /** What was looked at there. */
  checks: z.array(check).max(96),
  /** What its hypervisor reports of the machine now; read by the same driver at the source. Absent: not compared. */
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
