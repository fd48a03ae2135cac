import { helloRoutes } from './hello.ts';
import { peerRoutes } from './peer/agent-routes.ts';
import { publicRoutes } from './public/contract.ts';

/** All that a host's agent answers. */
export const agentContract = { ...helloRoutes, ...publicRoutes, ...peerRoutes };
