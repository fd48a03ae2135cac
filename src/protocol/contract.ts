import { helloRoutes } from './hello.ts';
import { peerRoutes } from './peer/agent-routes.ts';
import { publicRoutes } from './public/contract.ts';
import { recoveryRoutes } from './public/recovery.ts';

/** What a host's agent answers to people and programs; the OpenAPI document describes it. */
export const publicContract = { ...helloRoutes, ...publicRoutes, ...recoveryRoutes };

/** All that a host's agent answers. */
export const agentContract = { ...publicContract, ...peerRoutes };
