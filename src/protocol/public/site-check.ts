import { z } from 'zod';
import { migrationId, moment, shortText } from '../names.ts';

/** A site's own check of a guest that has moved, by its name among the hooks of a host. */
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

/** Of a migration that takes a guest back: which one had brought it, and what its check found. */
export const returns = z.object({ migration: migrationId, why: shortText });
export type Returns = z.infer<typeof returns>;

/** How a site's check stands at the destination. */
export const siteCheck = z.object({
  state: z.enum(['watching', 'returning', 'returned', 'passed', 'failed', 'cancelled', 'moved-on']),
  untilAt: moment,
  runs: z.number().int().nonnegative(),
  failures: z.number().int().nonnegative(),
  /** What the last run found, or why the guest goes back or stays. */
  why: shortText.optional(),
  /** It takes the guest back. */
  migration: migrationId.optional(),
});
export type SiteCheck = z.infer<typeof siteCheck>;

/** The guest is back at the source, by that migration. */
export const returned = returns.extend({ at: moment });
