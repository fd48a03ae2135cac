import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import type { GuestHandle, Launch } from '../../port/direct.ts';

/**
 * Contents of this driver's handles and launches, which are read back from requests and journals, including
 * journals of earlier builds.
 */

const handle = z.object({
  driver: z.literal('qemu'),
  name: z.string().min(1).max(128),
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  /**
   * Host's boot id when the process started. Absent in records of earlier versions: then only pid and start time
   * are compared.
   */
  bootId: z.string().max(64).optional(),
  monitor: z.string().max(4096),
});
export type QemuHandle = Readonly<z.infer<typeof handle>>;

const launch = z.object({
  binary: z.string().max(4096),
  argv: z.array(z.string().max(65_536)).max(4096),
  cwd: z.string().max(4096),
  writes: z.array(z.string().max(4096)).max(256).optional(),
  /** User of the process, if it is not the agent's user, and whether the process may gain privileges. */
  as: z
    .object({
      uid: z.number().int().nonnegative(),
      gid: z.number().int().nonnegative(),
      groups: z.array(z.number().int().nonnegative()).max(65_536),
      noNewPrivs: z.boolean(),
    })
    .optional(),
  /** Limit of locked memory, if it differs from the agent's limit. */
  lockBytes: z.union([z.number().int().nonnegative(), z.literal('unlimited')]).optional(),
});
export type QemuLaunch = z.infer<typeof launch>;

export function handleIn(given: GuestHandle): QemuHandle | undefined {
  return handle.safeParse(given).data;
}

/** Throws GODWIT_INTERNAL if another driver made the handle or its record is damaged. */
export function handleOf(given: GuestHandle): QemuHandle {
  const parsed = handleIn(given);
  if (parsed !== undefined) return parsed;
  throw godwitError('GODWIT_INTERNAL', { what: `the handle of ${given.name} names no QEMU` });
}

/** Throws GODWIT_RESTART if the record does not contain a QEMU command line. */
export function launchIn(given: Launch, guest: string, host: string): QemuLaunch {
  const parsed = launch.safeParse(given);
  if (parsed.success) return parsed.data;
  const reason = 'the record of how its QEMU was started cannot be read';
  throw godwitError('GODWIT_RESTART', { guest, host, reason });
}
