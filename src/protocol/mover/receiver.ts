import { z } from 'zod';
import { serialError } from '../errors.ts';
import { address, hostName, migrationId } from '../names.ts';
import { receiverRequest } from '../peer/receiver.ts';
import { diskTunnel } from '../peer/migration.ts';
import { wireSession } from '../wire.ts';

/** What an agent and the receiver that it starts say to each other: a line each. It never leaves the host. */

export const receiverOrder = receiverRequest.extend({
  /** On which the manager's hypervisor listens, or will by the time that memory comes; as Godwit finds it. */
  socket: z.string().min(1).max(107),
  /** The same for disks, where some are copied. */
  diskSocket: z.string().min(1).max(107).optional(),
});
export type ReceiverOrder = z.infer<typeof receiverOrder>;

/** What lies on this host of a receiver that lives, or was killed. */
export const receiverRecord = receiverOrder.pick({ socket: true, diskSocket: true }).extend({
  id: migrationId,
  from: hostName,
  pid: z.number().int().positive(),
  startTicks: z.number().int().nonnegative(),
});
export type ReceiverRecord = z.infer<typeof receiverRecord>;

const receiverPlace = wireSession.extend({ address, disks: diskTunnel.optional() });
export type ReceiverPlace = z.infer<typeof receiverPlace>;

/** It waits for the source's mover, or cannot. */
export const receiverLine = z.union([receiverPlace, z.object({ error: serialError })]);
export type ReceiverLine = z.infer<typeof receiverLine>;
