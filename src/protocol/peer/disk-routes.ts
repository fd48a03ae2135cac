import { z } from 'zod';
import { compared, comparison, rewriting, rewritten } from './disk-check.ts';
import * as peer from './migration.ts';
import { LARGE_BYTES, REPORT_BYTES, route } from '../route.ts';

export const diskRoutes = {
  storage: route({
    method: 'POST',
    path: '/v1/storage',
    summary: 'Look for files that the source has written beside its disks, and add to them',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: REPORT_BYTES,
    body: peer.storageProof,
    response: peer.storageAnswer,
  }),
  bases: route({
    method: 'POST',
    path: '/v1/bases',
    summary: 'Look for what the guest only reads of its disks, and wait for what is not there',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: REPORT_BYTES,
    body: peer.seeding,
    response: peer.seedAnswer,
  }),
  media: route({
    method: 'POST',
    path: '/v1/media',
    summary: 'Put other media into drives of the built guest, as the source has them now',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    body: peer.mediaChange,
    response: z.object({ ok: z.literal(true) }),
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
    body: peer.diskEnd,
    response: z.object({ ok: z.literal(true) }),
  }),
  disksCompare: route({
    method: 'POST',
    path: '/v1/disks/compare',
    summary: 'The guest runs: say which of these parts of a copied image are something else now',
    access: 'agent',
    body: comparison,
    response: compared,
  }),
  disksRewritten: route({
    method: 'POST',
    path: '/v1/disks/rewritten',
    summary: 'Say which of these parts the guest has written to since the switch',
    access: 'agent',
    body: rewriting,
    response: rewritten,
  }),
};
