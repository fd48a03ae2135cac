import { helloRoutes } from './hello.ts';
import { peerRoutes } from './peer/agent-routes.ts';
import { publicRoutes } from './public/contract.ts';
import { recoveryRoutes } from './public/recovery.ts';

/** Routes of a host's agent for people and programs, described by the OpenAPI document. */
export const publicContract = { ...helloRoutes, ...publicRoutes, ...recoveryRoutes };

export const agentContract = { ...publicContract, ...peerRoutes };
