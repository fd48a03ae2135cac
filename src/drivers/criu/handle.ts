import { z } from 'zod';
import { godwitError, toGodwitError } from '../../errors.ts';
import { lifeOf, type Life } from '../../system/processes/life.ts';
import { bootId } from '../../system/processes/process.ts';
import type { GuestHandle } from '../../port/inventory.ts';
import type { ContainerRecord, Records } from './link/records.ts';

/** Contents of this driver's handles, which are read back from requests and journals. */

const started = z.object({
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
  bootId: z.string().max(64).optional(),
});

const handle = z.object({
  driver: z.literal('criu'),
  name: z.string().min(1).max(128),
  /** First process of a container that Godwit did not start. */
  init: started.optional(),
  /** Key in `Records` of a container that a migration brings or brought. */
  token: z.string().max(64).optional(),
  memoryBytes: z.number().int().nonnegative(),
  podman: z
    .object({ id: z.string().regex(/^[0-9a-f]{64}$/), runtime: z.enum(['runc', 'crun']) })
    .optional(),
});
export type CriuHandle = Readonly<z.infer<typeof handle>>;

export function handleIn(given: GuestHandle): CriuHandle | undefined {
  return handle.safeParse(given).data;
}

/** Throws GODWIT_INTERNAL if another driver made the handle or its record is damaged. */
export function handleOf(given: GuestHandle): CriuHandle {
  const parsed = handleIn(given);
  if (parsed !== undefined) return parsed;
  throw godwitError('GODWIT_INTERNAL', { what: `the handle of ${given.name} names no container` });
}

type InitProcess = z.infer<typeof started>;

function isSameProcess(one: InitProcess, other: InitProcess): boolean {
  return one.pid === other.pid && one.startTicks === other.startTicks;
}

/** It was shut down for a cold move and can be started again. */
export function isDown(own: CriuHandle, record: ContainerRecord): boolean {
  if (record.down === undefined) return false;
  if (own.init === undefined) return own.token === record.token;
  return isSameProcess(own.init, record.was ?? record.down.init);
}

/**
 * State of the handle's subject: the container's first process, a container that was shut down to move, or the
 * mover that waits for one.
 */
export function lifeOfHandle(given: GuestHandle, records: Records): Life {
  const own = handleIn(given);
  if (own === undefined) {
    return { state: 'unknown', reason: `the handle of ${given.name} names no container` };
  }
  let record: ContainerRecord | undefined;
  try {
    record = records.readSync(own.name);
  } catch (error) {
    if (own.init !== undefined) return lifeOf(own.init);
    return { state: 'unknown', reason: toGodwitError(error).message };
  }
  if (record !== undefined && isDown(own, record)) {
    if (record.down?.init.bootId === bootId()) return { state: 'alive' };
    return { state: 'gone', reason: 'the host was restarted while it was shut down' };
  }
  if (own.init !== undefined) {
    const again = record?.was !== undefined && isSameProcess(own.init, record.was);
    return lifeOf(again ? (record?.init ?? own.init) : own.init);
  }
  if (record?.token !== own.token || record === undefined) {
    return { state: 'gone', reason: 'what was made for it here was removed' };
  }
  const living = record.init ?? record.worker ?? record.mover;
  return lifeOf(living);
}
