import { z } from 'zod';
import * as peer from './peer.ts';
import { route } from './route.ts';

/** What a source asks of the destination's mover about the guest's disks. */
export const diskRoutes = {
  storage: route({
    method: 'POST',
    path: '/v1/storage',
    summary: 'Look for files that the source has written beside its disks, and add to them',
    access: 'agent',
    body: peer.storageProof,
    response: peer.storageAnswer,
  }),
  bases: route({
    method: 'POST',
    path: '/v1/bases',
    summary: 'Look for what the guest only reads of its disks, and wait for what is not there',
    access: 'agent',
    body: peer.seeding,
    response: peer.seedAnswer,
  }),
  disks: route({
    method: 'POST',
    path: '/v1/disks',
    summary: 'Offer the made disks for writing, and wait for the session that brings their bytes',
    access: 'agent',
    body: peer.diskOffer,
    response: peer.diskTunnel,
  }),
  disksEnd: route({
    method: 'POST',
    path: '/v1/disks/end',
    summary: 'The copies are whole, or will never be: nothing is written from outside any more',
    access: 'agent',
    body: peer.epochBody,
    response: z.object({ ok: z.literal(true) }),
  }),
};
