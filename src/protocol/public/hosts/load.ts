import { z } from 'zod';
import { bytes, guestName, moment, ms } from '../../names.ts';
import { hostHealth } from './health.ts';

const share = z.number().min(0).max(1);
/** More than any link or disk carries; jumping counters may exceed it. */
export const MAX_BYTES_PER_S = 1e15;
const perS = z.number().nonnegative().max(MAX_BYTES_PER_S);

export const MAX_GUESTS_OF_A_SAMPLE = 4096;

/** A host's load over a time. Values that its kernel does not report are absent. */
export const hostLoad = z.object({
  /** End of that time, by the host's clock. */
  at: moment,
  overMs: ms,
  processor: z.object({
    cores: z.number().int().positive().max(1_000_000),
    used: share,
    /** Share of all cores that was requested, but taken by the hypervisor under this host. */
    steal: share,
  }),
  /** Share of time that at least one task (`some`) or all active ones (`full`) waited (PSI). */
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
  /** Physical links, without host-internal traffic. */
  network: z.object({ inBytesPerS: perS, outBytesPerS: perS }),
  disk: z.object({ readBytesPerS: perS, writeBytesPerS: perS }),
  health: hostHealth.optional(),
  guests: z
    .array(
      z.object({
        name: guestName,
        /** Cores used: 1.5 for two busy vCPUs that waited a quarter of the time. */
        cores: z.number().nonnegative().max(1_000_000),
        /** Host memory, as the kernel counts it. */
        residentBytes: bytes,
      }),
    )
    .max(MAX_GUESTS_OF_A_SAMPLE),
});
export type HostLoad = z.infer<typeof hostLoad>;
