import { z } from 'zod';
import { helloRoutes } from '../hello.ts';
import { LARGE_BYTES, REPORT_BYTES, route } from '../route.ts';
import { connectionRoutes } from './connections.ts';
import { diskRoutes } from './disk-routes.ts';
import * as peer from './migration.ts';
import { knownAnswer, knownQuestion } from '../wire.ts';
import { verifyRoutes } from './verify.ts';

const done = z.object({ ok: z.literal(true) });

/** The destination mover's API for the source's mover, over mutual TLS. All calls are idempotent. */
export const peerContract = {
  ...helloRoutes,
  ...connectionRoutes,
  ...diskRoutes,
  ...verifyRoutes,
  status: route({
    method: 'GET',
    path: '/v1/status',
    summary: 'What the destination side knows',
    access: 'agent',
    answerBytes: REPORT_BYTES,
    response: peer.destinationStatus,
  }),
  assess: route({
    method: 'POST',
    path: '/v1/assess',
    summary: 'Check the guest against this host; changes nothing',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: REPORT_BYTES,
    body: peer.preparation,
    response: peer.assessment,
  }),
  known: route({
    method: 'POST',
    path: '/v1/known',
    summary: 'What the wire would tell the source of the cache of this host; changes nothing',
    access: 'agent',
    answerBytes: LARGE_BYTES,
    body: knownQuestion,
    response: knownAnswer,
  }),
  prepare: route({
    method: 'POST',
    path: '/v1/prepare',
    summary: 'Build the paused guest and listen for its memory',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    answerBytes: REPORT_BYTES,
    body: peer.preparation,
    response: peer.prepared,
  }),
  arm: route({
    method: 'POST',
    path: '/v1/arm',
    summary: 'Write armed(epoch), synced',
    access: 'agent',
    answerBytes: REPORT_BYTES,
    body: peer.epochBody,
    response: peer.destinationStatus,
  }),
  commit: route({
    method: 'POST',
    path: '/v1/commit',
    summary: 'The right to run passes to this side: resume the guest',
    access: 'agent',
    body: peer.commitBody,
    response: peer.running,
  }),
  refuse: route({
    method: 'POST',
    path: '/v1/refuse',
    summary: 'Give a synced word that the guest has not run here and never will under this epoch',
    access: 'agent',
    body: peer.epochBody,
    response: peer.refused,
  }),
  recover: route({
    method: 'POST',
    path: '/v1/recover',
    summary: 'Post-copy: listen again after the link broke',
    access: 'agent',
    answerBytes: REPORT_BYTES,
    body: peer.epochBody,
    response: peer.prepared,
  }),
  release: route({
    method: 'POST',
    path: '/v1/release',
    summary:
      'Take down everything that is here; past the right to run only what is left of a guest that is lost',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    body: peer.releaseBody,
    response: done,
  }),
  finish: route({
    method: 'POST',
    path: '/v1/finish',
    summary: 'The source is gone: forget the migration, keep the guest',
    access: 'agent',
    body: peer.epochBody,
    response: done,
  }),
};
