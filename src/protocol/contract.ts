import { z } from 'zod';
import { cacheRoutes } from './public/cache.ts';
import { connectionRoutes } from './peer/connections.ts';
import { diskMoveRoutes } from './public/disk-move-routes.ts';
import { diskRoutes } from './peer/disk-routes.ts';
import { guestInfo, hostEntry, hostInfo } from './public/host.ts';
import { migrationRequest, migrationSummary, progress, report } from './public/migration.ts';
import { guestName, hostName, migrationId, shortText } from './names.ts';
import { operatorRoutes } from './public/operator-routes.ts';
import * as peer from './peer/migration.ts';
import { resolveAnswer, runAt } from './public/resolve.ts';
import { route } from './route.ts';
import { vantageRoutes } from './peer/vantage.ts';

export { role } from './route.ts';
export type {
  Access,
  CallInput,
  Contract,
  Role,
  Route,
  RouteAnswer,
  RouteInput,
  RouteOutput,
} from './route.ts';

const byId = z.object({ id: migrationId });
const done = z.object({ ok: z.literal(true) });

export const hello = z.object({
  name: hostName,
  product: z.string().max(64),
  versions: z.array(z.number().int()).max(16),
});
export type Hello = z.infer<typeof hello>;

/** What cancel will do, said at once. */
export const cancelAnswer = z.object({ accepted: z.boolean(), what: shortText });
export type CancelAnswer = z.infer<typeof cancelAnswer>;

/** A host's agent, for the CLI, other agents and, later, the controller. */
export const agentContract = {
  hello: route({
    method: 'GET',
    path: '/hello',
    summary: 'Who answers, and which protocol versions it speaks',
    access: 'anyone',
    response: hello,
  }),
  health: route({
    method: 'GET',
    path: '/health',
    summary: 'Answers once the agent serves',
    access: 'anyone',
    response: done,
  }),
  openapi: route({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This API as an OpenAPI document',
    access: 'anyone',
    response: z.record(z.string(), z.unknown()),
  }),
  host: route({
    method: 'GET',
    path: '/v1/host',
    summary: 'Inventory of this host',
    access: 'viewer',
    response: hostInfo,
  }),
  hosts: route({
    method: 'GET',
    path: '/v1/hosts',
    summary: 'This host and its peers, as far as they answer',
    access: 'viewer',
    response: z.object({ hosts: z.array(hostEntry).max(10_000) }),
  }),
  guests: route({
    method: 'GET',
    path: '/v1/guests',
    summary: 'Guests of this host, or of this host and all peers',
    access: 'viewer',
    query: z.object({ scope: z.enum(['local', 'all']).default('local') }),
    response: z.object({ guests: z.array(guestInfo).max(100_000) }),
  }),
  guest: route({
    method: 'GET',
    path: '/v1/guests/:guest',
    summary: 'One guest of this host',
    access: 'viewer',
    params: z.object({ guest: guestName }),
    response: guestInfo,
  }),
  migrate: route({
    method: 'POST',
    path: '/v1/migrations',
    summary: 'Start moving a guest of this host; answers as soon as its mover runs',
    access: 'operator',
    body: migrationRequest.extend({ id: migrationId.optional() }),
    response: z.object({ id: migrationId }),
  }),
  migrations: route({
    method: 'GET',
    path: '/v1/migrations',
    summary: 'Migrations that this host took part in, newest first',
    access: 'viewer',
    query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) }),
    response: z.object({ migrations: z.array(migrationSummary).max(1000) }),
  }),
  progress: route({
    method: 'GET',
    path: '/v1/migrations/:id/progress',
    summary: 'Where a migration stands now',
    access: 'viewer',
    params: byId,
    response: progress,
  }),
  events: route({
    method: 'GET',
    path: '/v1/migrations/:id/events',
    summary: 'The live view, one line per change, until the migration ends',
    access: 'viewer',
    params: byId,
    response: progress,
    stream: true,
  }),
  report: route({
    method: 'GET',
    path: '/v1/migrations/:id/report',
    summary: 'What was done, with measurements',
    access: 'viewer',
    params: byId,
    response: report,
  }),
  cancel: route({
    method: 'POST',
    path: '/v1/migrations/:id/cancel',
    summary: 'Ask to roll a migration back; says at once what will happen',
    access: 'operator',
    params: byId,
    response: cancelAnswer,
  }),
  admit: route({
    method: 'POST',
    path: '/v1/incoming',
    summary: 'Another host asks to send a guest here; starts a mover for it',
    access: 'agent',
    body: peer.admission,
    response: peer.admitted,
  }),
  incoming: route({
    method: 'GET',
    path: '/v1/incoming/:id',
    summary: 'Where the mover of an incoming migration listens now (restarted if it died)',
    access: 'agent',
    params: byId,
    response: peer.admitted,
  }),
  ...operatorRoutes,
  ...cacheRoutes,
  ...vantageRoutes,
  ...diskMoveRoutes,
  join: route({
    method: 'POST',
    path: '/v1/pki/join',
    summary: 'Sign the key of a new host, against a join token that works once',
    access: 'anyone',
    body: z.object({ token: z.string().max(256), request: z.string().max(8192) }),
    response: z.object({
      certificate: z.string().max(16_384),
      ca: z.string().max(16_384),
      /** For a host: names what the caches of the site hold. */
      siteSecret: z.string().max(256).optional(),
    }),
  }),
};

/** A mover, for the agent of its own host, over a unix socket. */
export const moverContract = {
  progress: route({
    method: 'GET',
    path: '/progress',
    summary: 'Where this migration stands',
    access: 'local',
    response: progress,
  }),
  events: route({
    method: 'GET',
    path: '/events',
    summary: 'The live view until the end',
    access: 'local',
    response: progress,
    stream: true,
  }),
  cancel: route({
    method: 'POST',
    path: '/cancel',
    summary: 'Ask to roll back',
    access: 'local',
    response: cancelAnswer,
  }),
  resolve: route({
    method: 'POST',
    path: '/resolve',
    summary: 'Destination: run the guest without its source, or give it up',
    access: 'local',
    body: z.object({
      runAt,
      proof: z.enum(['ask', 'observed', 'fenced', 'operator']),
      by: z.string().max(128),
    }),
    response: resolveAnswer,
  }),
};

/** The destination's mover, for the source's mover, over mutual TLS. Every call may be repeated. */
export const peerContract = {
  ...connectionRoutes,
  ...diskRoutes,
  hello: agentContract.hello,
  status: route({
    method: 'GET',
    path: '/v1/status',
    summary: 'What the destination side knows',
    access: 'agent',
    response: peer.destinationStatus,
  }),
  assess: route({
    method: 'POST',
    path: '/v1/assess',
    summary: 'Check the guest against this host; changes nothing',
    access: 'agent',
    body: peer.preparation,
    response: peer.assessment,
  }),
  prepare: route({
    method: 'POST',
    path: '/v1/prepare',
    summary: 'Build the paused guest and listen for its memory',
    access: 'agent',
    body: peer.preparation,
    response: peer.prepared,
  }),
  arm: route({
    method: 'POST',
    path: '/v1/arm',
    summary: 'Write armed(epoch), synced',
    access: 'agent',
    body: peer.epochBody,
    response: peer.destinationStatus,
  }),
  commit: route({
    method: 'POST',
    path: '/v1/commit',
    summary: 'The right to run passes to this side: resume the guest',
    access: 'agent',
    body: peer.epochBody,
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
    body: peer.epochBody,
    response: peer.prepared,
  }),
  release: route({
    method: 'POST',
    path: '/v1/release',
    summary:
      'Take down everything that is here; past the right to run only what is left of a guest that is lost',
    access: 'agent',
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
