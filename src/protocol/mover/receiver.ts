import { z } from 'zod';
import { serialError } from '../errors.ts';
import { address, hostName, migrationId } from '../names.ts';
import { receiverRequest } from '../peer/receiver.ts';
import { diskTunnel } from '../peer/migration.ts';
import { wireSession } from '../wire.ts';

/** Messages between an agent and its receiver, one per line. */

export const receiverOrder = receiverRequest.extend({
  /** The manager's hypervisor listens here when memory comes. */
  socket: z.string().min(1).max(107),
  diskSocket: z.string().min(1).max(107).optional(),
});
export type ReceiverOrder = z.infer<typeof receiverOrder>;

export const receiverRecord = receiverOrder.pick({ socket: true, diskSocket: true }).extend({
  id: migrationId,
  from: hostName,
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
});
export type ReceiverRecord = z.infer<typeof receiverRecord>;

const receiverPlace = wireSession.extend({ address, disks: diskTunnel.optional() });
export type ReceiverPlace = z.infer<typeof receiverPlace>;

export const receiverLine = z.union([receiverPlace, z.object({ error: serialError })]);
export type ReceiverLine = z.infer<typeof receiverLine>;
