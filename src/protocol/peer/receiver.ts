import { z } from 'zod';
import { address, bytes, guestName, hostName, migrationId, shortText } from '../names.ts';
import { route } from '../route.ts';
import { wireOffer, wireSession, wireTerms } from '../wire.ts';
import { diskTunnel } from './migration.ts';

/**
 * A guest that its manager moves can use the wire if the manager sends memory through a Unix socket. The source has a
 * mover; at the destination a receiver has the other end of the wire, and passes the memory to the manager.
 */

const guestOf = {
  guest: guestName,
  from: hostName,
  driver: z.string().min(1).max(32),
};

/** Directory of sockets in the manager's notation; both hosts' managers need the same name. */
const place = z.string().min(1).max(256);

export const receiverOffer = z.object({
  wire: wireOffer,
  place: place.optional(),
  /** It can open a path for copied disks; absent in earlier builds. */
  disks: z.boolean().optional(),
  why: shortText.optional(),
});
export type ReceiverOffer = z.infer<typeof receiverOffer>;

export const receiverRequest = z.object({
  ...guestOf,
  id: migrationId,
  memoryBytes: bytes,
  terms: wireTerms,
  disks: z.boolean().optional(),
  /** Timeout of the migration; a receiver ends soon after it. */
  timeoutMs: z.number().int().min(1000).max(86_400_000),
});
export type ReceiverRequest = z.infer<typeof receiverRequest>;

export const receiver = wireSession.extend({
  address,
  place,
  disks: diskTunnel.optional(),
});
export type Receiver = z.infer<typeof receiver>;

export const receiverRoutes = {
  offerReceiver: route({
    method: 'GET',
    path: '/v1/receivers',
    summary:
      'Whether this host can receive that guest over the wire, for its manager; opens nothing',
    access: 'agent',
    query: z.object(guestOf),
    response: receiverOffer,
  }),
  openReceiver: route({
    method: 'POST',
    path: '/v1/receivers',
    summary: 'Open a receiver, in the place of an earlier one for that migration',
    access: 'agent',
    body: receiverRequest,
    response: receiver,
  }),
};
