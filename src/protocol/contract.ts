import { helloRoutes } from './hello.ts';
import { peerRoutes } from './peer/agent-routes.ts';
import { publicRoutes } from './public/contract.ts';

/** What a host's agent answers to people and programs; the OpenAPI document describes it. */
export const publicContract = { ...helloRoutes, ...publicRoutes };

/** All that a host's agent answers. */
export const agentContract = { ...publicContract, ...peerRoutes };
