import path from 'node:path';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { CriuHandle } from './handle.ts';
import type { HostContext } from './host/host-context.ts';
import { identify } from './host/processes.ts';
import { checkShared } from './files/shared-volumes.ts';

/**
 * A cold move at its destination: runc makes the container of what has come, and its first process waits before its first
 * instruction until it is released. Made already: answers the same again.
 */
export async function startCold(
  { runc, records, prefix }: HostContext,
  guest: string,
  signal: AbortSignal,
): Promise<CriuHandle> {
  const lost = (reason: string): Error =>
    godwitError('GODWIT_HYPERVISOR_LOST', { side: 'destination', guest, reason });
  const record = records.readSync(guest);
  if (record?.made === undefined || record.cold === undefined)
    throw lost('its files have not arrived');
  const { token, memoryBytes } = record;
  const handle: CriuHandle = { driver: 'criu', name: guest, token, memoryBytes };
  if (record.cold !== 'arrived') return handle;
  try {
    // What a call that was killed has made.
    await runc.remove(guest);
    await checkShared({ prefix }, record.made.shared);
    await runc.create(guest, path.join(records.dirOf(guest), 'bundle'));
  } catch (error) {
    throw lost(toGodwitError(error).message);
  }
  const listed = await runc.state(guest, signal);
  const init = listed === undefined ? undefined : identify(listed.pid);
  if (init === undefined) throw lost('it ended as soon as it was made');
  await records.change(guest, { cold: 'created', init });
  return handle;
}

/** Of one that `startCold` has made: whether its first process still waits. */
export async function coldRun(
  { runc }: HostContext,
  guest: string,
  signal: AbortSignal,
): Promise<'paused' | 'running'> {
  const listed = await runc.state(guest, signal);
  return listed?.status === 'created' ? 'paused' : 'running';
}

/** Released already: nothing. */
export async function release(
  context: HostContext,
  guest: string,
  signal: AbortSignal,
): Promise<void> {
  await context.records.change(guest, { cold: 'started' });
  if ((await coldRun(context, guest, signal)) === 'paused') await context.runc.release(guest);
}
