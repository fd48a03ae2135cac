import { z } from 'zod';
import { bytes, guestName, moment, ms } from '../../names.ts';
import { hostHealth } from './health.ts';

/** A share of a time or of a capacity. */
const share = z.number().min(0).max(1);
/** More than any link or disk carries; counters that jump may say more. */
export const MAX_BYTES_PER_S = 1e15;
const perS = z.number().nonnegative().max(MAX_BYTES_PER_S);

export const MAX_GUESTS_OF_A_SAMPLE = 4096;

/** How busy a host was over the time before a moment. What its kernel does not report is absent. */
export const hostLoad = z.object({
  /** The end of that time, by the host's clock. */
  at: moment,
  overMs: ms,
  processor: z.object({
    cores: z.number().int().positive().max(1_000_000),
    /** Of all cores together: used by anybody on this host. */
    used: share,
    /** Of all cores together: wanted, and taken by what this host runs on itself. */
    steal: share,
  }),
  /** Of the time: at least one task (`some`), or all that were not idle (`full`), waited for it (PSI). */
  pressure: z
    .object({
      processor: share.optional(),
      memorySome: share.optional(),
      memoryFull: share.optional(),
      ioSome: share.optional(),
      ioFull: share.optional(),
    })
    .optional(),
  memory: z.object({ totalBytes: bytes, availableBytes: bytes, swapUsedBytes: bytes }),
  /** Of the host's own links, without what stays on it. */
  network: z.object({ inBytesPerS: perS, outBytesPerS: perS }),
  disk: z.object({ readBytesPerS: perS, writeBytesPerS: perS }),
  /** What its hardware says of itself; absent before the first look. */
  health: hostHealth.optional(),
  /** Those whose process the agent knows. */
  guests: z
    .array(
      z.object({
        name: guestName,
        /** Cores that it used: 1.5 of a guest with two busy vCPUs that waited for a quarter of the time. */
        cores: z.number().nonnegative().max(1_000_000),
        /** Of this host's memory, as its kernel counts it. */
        residentBytes: bytes,
      }),
    )
    .max(MAX_GUESTS_OF_A_SAMPLE),
});
export type HostLoad = z.infer<typeof hostLoad>;
