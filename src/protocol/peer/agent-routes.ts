import { z } from 'zod';
import { helloRoutes } from '../hello.ts';
import { fingerprint, guestName, MAX_AUTHORITIES, migrationId, shortText } from '../names.ts';
import { resolveAnswer, runAt, sideView } from '../public/resolve.ts';
import { sighting, sightingQuery } from './sighting.ts';
import { LARGE_BYTES, route } from '../route.ts';
import { arrivalRoutes } from './arrival.ts';
import { admission, admitted } from './migration.ts';
import { signedList } from './fleet.ts';
import { linkRoutes } from './link.ts';
import { preflightRoutes } from './preflight.ts';
import { probeRoutes } from './probe.ts';
import { receiverRoutes } from './receiver.ts';
import { standbyPeerRoutes } from './standby.ts';

const byId = z.object({ id: migrationId });

/** A host's agent, for the agents and movers of other hosts. */
export const peerRoutes = {
  admit: route({
    method: 'POST',
    path: '/v1/incoming',
    summary: 'Another host asks to send a guest here; starts a mover for it',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    body: admission,
    response: admitted,
  }),
  incoming: route({
    method: 'GET',
    path: '/v1/incoming/:id',
    summary: 'Where the mover of an incoming migration listens now (restarted if it died)',
    access: 'agent',
    params: byId,
    response: admitted,
  }),
  side: route({
    method: 'GET',
    path: '/v1/migrations/:id/side',
    summary: 'What this host knows of its side of a migration, for the other host of it',
    access: 'agent',
    params: byId,
    /** `hypervisor`: also ask the hypervisor afresh. */
    query: z.object({ look: z.enum(['journal', 'hypervisor']).default('journal') }),
    response: sideView,
  }),
  sighting: route({
    method: 'GET',
    path: '/v1/sightings/:guest',
    summary:
      'What this host has seen of a guest besides one migration of it, for a host that resolves that one',
    access: 'agent',
    answerBytes: LARGE_BYTES,
    params: z.object({ guest: guestName }),
    query: sightingQuery,
    response: sighting,
  }),
  takeUp: route({
    method: 'POST',
    path: '/v1/migrations/:id/takeup',
    summary: 'The other host asks to resume a held migration, with both hosts’ own words',
    access: 'agent',
    params: byId,
    body: z.object({ runAt, by: z.string().max(128) }),
    response: resolveAnswer,
  }),
  endSiteCheck: route({
    method: 'POST',
    path: '/v1/migrations/:id/keep',
    summary: 'The source passes a cancel on: a guest that has come here is not to be taken back',
    access: 'agent',
    params: byId,
    body: z.object({ by: z.string().max(128) }),
    response: z.object({ accepted: z.boolean(), what: shortText }),
  }),
  ...preflightRoutes,
  ...probeRoutes,
  ...linkRoutes,
  ...standbyPeerRoutes,
  ...receiverRoutes,
  ...arrivalRoutes,
  newerList: route({
    method: 'GET',
    path: '/v1/pki/list',
    summary: 'The fleet’s list, where this host has a newer one than the caller',
    access: 'member',
    answerBytes: LARGE_BYTES,
    query: z.object({ after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER) }),
    response: z.object({ signed: signedList.optional() }),
  }),
  authorities: route({
    method: 'GET',
    path: '/v1/pki/authorities',
    summary: 'The fleet’s list, which the CA signed and which names all CAs, for a person’s ca.crt',
    access: 'viewer',
    answerBytes: LARGE_BYTES,
    query: z.object({ after: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER) }),
    response: z.object({ signed: signedList.optional() }),
  }),
  offerList: route({
    method: 'POST',
    path: '/v1/pki/list',
    summary: 'Hand the fleet’s list on; it is taken where the CA has signed it and it is newer',
    access: 'agent',
    bodyBytes: LARGE_BYTES,
    body: signedList,
    response: z.object({ number: z.number().int().nonnegative() }),
  }),
  siteSecret: route({
    method: 'GET',
    path: '/v1/pki/secret',
    summary: 'The site’s secret, where this host has the one that is asked for',
    access: 'agent',
    query: z.object({ id: z.string().max(32) }),
    response: z.object({
      secret: z.string().max(64).optional(),
    }),
  }),
  renew: route({
    method: 'POST',
    path: '/v1/pki/renew',
    summary:
      'Sign a new key for the holder of the certificate that the caller shows, a host or a person',
    access: 'viewer',
    bodyBytes: 16 * 1024,
    body: z.object({
      request: z.string().max(8192),
      /** Fingerprints of the CAs that the caller trusts; absent: a host, whose agent is asked. */
      trusts: z.array(fingerprint).max(MAX_AUTHORITIES).optional(),
    }),
    response: z.object({
      /** Absent: the one that was shown is to be kept for now. */
      certificate: z.string().max(16_384).optional(),
    }),
  }),
  join: route({
    method: 'POST',
    path: '/v1/pki/join',
    summary: 'Sign the key of a new host, against a join token that works once',
    access: 'anyone',
    answerBytes: LARGE_BYTES,
    bodyBytes: 16 * 1024,
    apart: 'join',
    body: z.object({ token: z.string().max(256), request: z.string().max(8192) }),
    response: z.object({
      certificate: z.string().max(16_384),
      ca: z.string().max(16_384),
      /** Key for the names of entries in the caches of the site; only for a host. */
      siteSecret: z.string().max(256).optional(),
      /** For a host: its fleet, with itself. For a controller: the fleet. */
      fleet: signedList.optional(),
    }),
  }),
};

/** What movers ask of another host's agent. Small: each mover loads it. */
export const peerAgentContract = { ...helloRoutes, ...peerRoutes };
