import path from 'node:path';
import { godwitError, toGodwitError } from '../../errors.ts';
import type { CriuHandle } from './handle.ts';
import type { HostContext } from './host/host-context.ts';
import { identify } from './host/processes.ts';
import { checkShared } from './files/shared-volumes.ts';

/**
 * Cold move at the destination: runc creates the container from the received files, and its first process waits
 * before its first instruction. A repeated call returns the same answer.
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
    // Left by a call that was killed.
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

export async function coldRun(
  { runc }: HostContext,
  guest: string,
  signal: AbortSignal,
): Promise<'paused' | 'running'> {
  const listed = await runc.state(guest, signal);
  return listed?.status === 'created' ? 'paused' : 'running';
}

/** Does nothing if it is already released. */
export async function release(
  context: HostContext,
  guest: string,
  signal: AbortSignal,
): Promise<void> {
  await context.records.change(guest, { cold: 'started' });
  if ((await coldRun(context, guest, signal)) === 'paused') await context.runc.release(guest);
}
