import { z } from 'zod';
import { address, bytes, guestName, hostName, migrationId, shortText } from '../names.ts';
import { route } from '../route.ts';
import { wireOffer, wireSession, wireTerms } from '../wire.ts';
import { diskTunnel } from './migration.ts';

/**
 * A guest that its manager moves can take the wire where the manager sends its memory through a unix socket. Its source has
 * a mover; at its destination a receiver holds the other end of the wire, and hands the memory to the manager there.
 */

const guestOf = {
  guest: guestName,
  from: hostName,
  /** Whose manager moves the guest. */
  driver: z.string().min(1).max(32),
};

/** A place of sockets as the manager names it: both hosts’ managers need the same name. */
const place = z.string().min(1).max(256);

export const receiverOffer = z.object({
  wire: wireOffer,
  /** Absent: no receiver can be opened here, and `why`. */
  place: place.optional(),
  /** It opens a path for disks that are copied, too; absent of an earlier build. */
  disks: z.boolean().optional(),
  why: shortText.optional(),
});
export type ReceiverOffer = z.infer<typeof receiverOffer>;

export const receiverRequest = z.object({
  ...guestOf,
  id: migrationId,
  memoryBytes: bytes,
  terms: wireTerms,
  /** Disks are copied with it, and need a path of their own. */
  disks: z.boolean().optional(),
  /** Of the migration; a receiver does not live much longer. */
  timeoutMs: z.number().int().min(1000).max(86_400_000),
});
export type ReceiverRequest = z.infer<typeof receiverRequest>;

export const receiver = wireSession.extend({
  /** Where the source’s mover opens the session. */
  address,
  place,
  /** Where it opens that of the disks. */
  disks: diskTunnel.optional(),
});
export type Receiver = z.infer<typeof receiver>;

/** A part of agentContract. */
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
