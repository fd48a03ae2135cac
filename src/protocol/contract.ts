import { helloRoutes } from './hello.ts';
import { peerRoutes } from './peer/agent-routes.ts';
import { publicRoutes } from './public/contract.ts';
import { recoveryRoutes } from './public/recovery.ts';

export const publicContract = { ...helloRoutes, ...publicRoutes, ...recoveryRoutes };

export const agentContract = { ...publicContract, ...peerRoutes };
