import { z } from 'zod';
import { migrationId, moment, shortText } from '../names.ts';

export const siteCheckName = z
  .string()
  .regex(
    /^check-[a-z0-9][a-z0-9-]{0,56}$/,
    'a site’s check: check- and up to 57 of a-z, 0-9 and -',
  );

export const returnIfUnhealthy = z.object({
  check: siteCheckName,
  withinMs: z.number().int().min(10_000).max(86_400_000),
});
export type ReturnIfUnhealthy = z.infer<typeof returnIfUnhealthy>;

/** Of a migration that moves a guest back: the one that had brought it, and the check's result. */
export const returns = z.object({ migration: migrationId, why: shortText });
export type Returns = z.infer<typeof returns>;

export const siteCheck = z.object({
  state: z.enum(['watching', 'returning', 'returned', 'passed', 'failed', 'cancelled', 'moved-on']),
  untilAt: moment,
  runs: z.number().int().nonnegative(),
  failures: z.number().int().nonnegative(),
  /** The last result, or why the guest returns or stays. */
  why: shortText.optional(),
  migration: migrationId.optional(),
});
export type SiteCheck = z.infer<typeof siteCheck>;

/** The guest is back at the source, by that migration. */
export const returned = returns.extend({ at: moment });
