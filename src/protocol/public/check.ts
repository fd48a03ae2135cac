import { z } from 'zod';
import { guestName, hostName } from '../names.ts';
import { check, migrationSettings } from './migration.ts';

/** Without `to`, every peer of the guest's host is checked. */
export const checkRequest = migrationSettings.extend({ guest: guestName, to: hostName.optional() });
export type CheckRequest = z.infer<typeof checkRequest>;

export const checkedHost = z.object({
  to: hostName,
  /** The worst check; with `refuse` a migration would end at the first refusal. */
  verdict: check.shape.verdict,
  checks: z.array(check).max(256),
});
export type CheckedHost = z.infer<typeof checkedHost>;

export const checkAnswer = z.object({
  guest: guestName,
  from: hostName,
  hosts: z.array(checkedHost).max(10_000),
});
export type CheckAnswer = z.infer<typeof checkAnswer>;
