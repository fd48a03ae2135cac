import { z } from 'zod';
import { moment, shortText } from '../../names.ts';

const HEALTH_KINDS = ['memory', 'disk', 'temperature', 'link'] as const;

/** `failing`: not reliable; `warning`: it may fail. */
export const healthSignal = z.object({
  kind: z.enum(HEALTH_KINDS),
  level: z.enum(['warning', 'failing']),
  /** The part, such as a memory controller, a disk or a link. */
  part: z.string().max(128),
  words: shortText,
});
export type HealthSignal = z.infer<typeof healthSignal>;

export const MAX_SIGNALS = 64;

export const hostHealth = z.object({
  at: moment,
  /** Worst first; empty: no known fault. */
  signals: z.array(healthSignal).max(MAX_SIGNALS),
  /** What this host could not read, in words. */
  notRead: z.array(shortText).max(8),
});
export type HostHealth = z.infer<typeof hostHealth>;
