import { z } from 'zod';
import { guestName, hostName, shortText } from '../names.ts';
import { checkedHost } from './check.ts';
import { guestLoad } from './hosts/guest-load.ts';
import { chosenStream, migrationSettings, streamMode } from './migration.ts';
import { guestMeasure, linkMeasure, prediction } from './prediction.ts';

export const planRequest = migrationSettings.extend({
  guest: guestName,
  to: hostName,
  compare: z.boolean().optional(),
  /** The caller's value for the link, which is not measured then. */
  link: linkMeasure.optional(),
});
export type PlanRequest = z.infer<typeof planRequest>;

export const planOption = prediction.extend({
  mode: streamMode,
  path: z.enum(['native', 'wire']),
  stream: chosenStream,
});
export type PlanOption = z.infer<typeof planOption>;

export const planAnswer = z.object({
  guest: guestName,
  from: hostName,
  /** The destination, with every check. */
  host: checkedHost,
  /** Absent if the guest could not be measured, see `unmeasured`. */
  measured: guestMeasure.optional(),
  /** Its load by hour; absent if not counted, and in earlier builds. */
  load: guestLoad.optional(),
  unmeasured: shortText.optional(),
  link: linkMeasure.optional(),
  linkUnmeasured: shortText.optional(),
  /** For the requested settings. Absent if a check refuses, or the guest could not be measured. */
  prediction: planOption.optional(),
  /** With `compare`: alternatives, best first. */
  others: z.array(planOption).max(16).optional(),
  advice: z.array(shortText).max(16),
});
export type PlanAnswer = z.infer<typeof planAnswer>;
