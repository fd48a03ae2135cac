import { z } from 'zod';
import { guestName, hostName, shortText } from '../names.ts';
import { checkedHost } from './check.ts';
import { guestLoad } from './hosts/guest-load.ts';
import { chosenStream, migrationSettings, streamMode } from './migration.ts';
import { guestMeasure, linkMeasure, prediction } from './prediction.ts';

/** A plan: the checks of a migration, and what it is expected to cost. */

/** What would be asked of a migration. */
export const planRequest = migrationSettings.extend({
  guest: guestName,
  to: hostName,
  /** Also other options, side by side. */
  compare: z.boolean().optional(),
  /** What the caller knows of the link; it is not measured then. */
  link: linkMeasure.optional(),
});
export type PlanRequest = z.infer<typeof planRequest>;

/** An option: how the guest can move, and what that is expected to come to. */
export const planOption = prediction.extend({
  mode: streamMode,
  path: z.enum(['native', 'wire']),
  stream: chosenStream,
});
export type PlanOption = z.infer<typeof planOption>;

export const planAnswer = z.object({
  guest: guestName,
  from: hostName,
  /** The destination, with every check of the migration. */
  host: checkedHost,
  /** Absent where the guest could not be measured; `unmeasured` says why. */
  measured: guestMeasure.optional(),
  /** How busy it was, hour by hour; absent where its host does not count it, and of earlier builds. */
  load: guestLoad.optional(),
  unmeasured: shortText.optional(),
  /** Absent where nobody knows its rate. */
  link: linkMeasure.optional(),
  /** Why the link was not measured. */
  linkUnmeasured: shortText.optional(),
  /** As it was asked for. Absent where a check refuses, or the guest could not be measured. */
  prediction: planOption.optional(),
  /** With `compare`: other options, the best first. */
  others: z.array(planOption).max(16).optional(),
  /** What would suit this guest better and why, and what the prediction leaves out. */
  advice: z.array(shortText).max(16),
});
export type PlanAnswer = z.infer<typeof planAnswer>;
