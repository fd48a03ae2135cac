import { z } from 'zod';
import { moment, shortText } from '../../names.ts';

const HEALTH_KINDS = ['memory', 'disk', 'temperature', 'link'] as const;

/** Something that a host's own hardware says of itself. `failing`: it is not to be relied on; `warning`: it may come to that. */
export const healthSignal = z.object({
  kind: z.enum(HEALTH_KINDS),
  level: z.enum(['warning', 'failing']),
  /** Which of its kind, such as a memory controller, a disk or a link. */
  part: z.string().max(128),
  words: shortText,
});
export type HealthSignal = z.infer<typeof healthSignal>;

export const MAX_SIGNALS = 64;

/** What a host's hardware says of itself. */
export const hostHealth = z.object({
  /** When it was looked at last, by the host's clock. */
  at: moment,
  /** The worst first; none: nothing is amiss, as far as it was read. */
  signals: z.array(healthSignal).max(MAX_SIGNALS),
  /** What this host cannot say, in words. */
  notRead: z.array(shortText).max(8),
});
export type HostHealth = z.infer<typeof hostHealth>;
