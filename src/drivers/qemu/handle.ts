import { z } from 'zod';
import { godwitError } from '../../errors.ts';
import type { GuestHandle, Launch } from '../../port/direct.ts';

/** What this driver writes into handles and launches, and reads back from requests and journals, also of earlier builds. */

/** A guest's QEMU process on this host. */
const handle = z.object({
  driver: z.literal('qemu'),
  name: z.string().min(1).max(128),
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  /** Of the host, when it was started. Absent in records of earlier versions: pid and start time alone are compared then. */
  bootId: z.string().max(64).optional(),
  /** The path of its QMP socket. */
  monitor: z.string().max(4096),
});
export type QemuHandle = Readonly<z.infer<typeof handle>>;

/** QEMU's command line, as the kernel shows it: enough to start the same machine anew. */
const launch = z.object({
  binary: z.string().max(4096),
  argv: z.array(z.string().max(65_536)).max(4096),
  cwd: z.string().max(4096),
  /** The images that it writes to, absolute. Absent in records of earlier builds. */
  writes: z.array(z.string().max(4096)).max(256).optional(),
  /** The user that it was, where that is not the agent's own; it could gain no privilege, or may again. */
  as: z
    .object({
      uid: z.number().int().nonnegative(),
      gid: z.number().int().nonnegative(),
      groups: z.array(z.number().int().nonnegative()).max(65_536),
      noNewPrivs: z.boolean(),
    })
    .optional(),
  /** How much memory it may lock, where that is not the agent's own limit. */
  lockBytes: z.union([z.number().int().nonnegative(), z.literal('unlimited')]).optional(),
});
export type QemuLaunch = z.infer<typeof launch>;

/** Undefined for what is no handle of this driver. */
export function handleIn(given: GuestHandle): QemuHandle | undefined {
  return handle.safeParse(given).data;
}

/** GODWIT_INTERNAL for what is no handle of this driver: another one made it, or its record is damaged. */
export function handleOf(given: GuestHandle): QemuHandle {
  const parsed = handleIn(given);
  if (parsed !== undefined) return parsed;
  throw godwitError('GODWIT_INTERNAL', { what: `the handle of ${given.name} names no QEMU` });
}

/** GODWIT_RESTART for what does not say how a QEMU was started. */
export function launchIn(given: Launch, guest: string, host: string): QemuLaunch {
  const parsed = launch.safeParse(given);
  if (parsed.success) return parsed.data;
  const reason = 'the record of how its QEMU was started cannot be read';
  throw godwitError('GODWIT_RESTART', { guest, host, reason });
}
