import { z } from 'zod';
import { clearedList, leftoverList } from './leftover.ts';
import { migrationId } from '../names.ts';
import { resolution, resolveAnswer, resolveRequest, runAt, sideView } from './resolve.ts';
import { route } from '../route.ts';

const byId = z.object({ id: migrationId });

/** Routes of an agent for the day on which something went wrong; a part of agentContract. */
export const operatorRoutes = {
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
  resolution: route({
    method: 'GET',
    path: '/v1/migrations/:id/resolution',
    summary: 'Both sides of a migration, and what each answer to it risks',
    access: 'viewer',
    params: byId,
    response: resolution,
  }),
  resolve: route({
    method: 'POST',
    path: '/v1/migrations/:id/resolve',
    summary: 'A person decides where the guest of a held migration is to run',
    access: 'operator',
    params: byId,
    body: resolveRequest,
    response: resolveAnswer,
  }),
  takeUp: route({
    method: 'POST',
    path: '/v1/migrations/:id/takeup',
    summary: 'The other host asks to take a held migration up again, with both hosts’ own words',
    access: 'agent',
    params: byId,
    body: z.object({ runAt, by: z.string().max(128) }),
    response: resolveAnswer,
  }),
  leftovers: route({
    method: 'GET',
    path: '/v1/leftovers',
    summary: 'What earlier crashes have left on this host',
    access: 'viewer',
    response: leftoverList,
  }),
  clearLeftovers: route({
    method: 'POST',
    path: '/v1/leftovers/clear',
    summary: 'Clear what is safe to clear, and say what was left',
    access: 'operator',
    response: clearedList,
  }),
};
