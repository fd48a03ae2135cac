import { z } from 'zod';
import { guestName, hostName } from '../names.ts';
import { check, migrationSettings } from './migration.ts';

/** What would be asked of a migration. Without `to`, every peer of the guest’s host is a destination to check. */
export const checkRequest = migrationSettings.extend({ guest: guestName, to: hostName.optional() });
export type CheckRequest = z.infer<typeof checkRequest>;

/** A destination, and every check of a migration to it, in the order in which a migration makes them. */
export const checkedHost = z.object({
  to: hostName,
  /** The worst of its checks: a migration with `refuse` would end with the first refusal. */
  verdict: check.shape.verdict,
  checks: z.array(check).max(256),
});
export type CheckedHost = z.infer<typeof checkedHost>;

export const checkAnswer = z.object({
  guest: guestName,
  from: hostName,
  /** The best first. */
  hosts: z.array(checkedHost).max(10_000),
});
export type CheckAnswer = z.infer<typeof checkAnswer>;
