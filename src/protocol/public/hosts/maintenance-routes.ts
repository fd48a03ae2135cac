import { z } from 'zod';
import { hostName } from '../../names.ts';
import { LOOKING } from '../../route-errors.ts';
import { route } from '../../route.ts';
import { closingRoutes } from '../closing.ts';
import { maintenanceSight } from './managed-host.ts';

const MAINTAINING = [...LOOKING, 'GODWIT_HOST_UNKNOWN', 'GODWIT_CAPABILITY'] as const;

export const maintenanceRoutes = {
  ...closingRoutes,
  maintenanceMode: route({
    method: 'GET',
    path: '/v1/managed/hosts/:host/maintenance',
    summary: 'How a host of the manager stands with its maintenance mode',
    access: 'viewer',
    params: z.object({ host: hostName }),
    response: maintenanceSight,
    errors: MAINTAINING,
  }),
  enterMaintenanceMode: route({
    method: 'PUT',
    path: '/v1/managed/hosts/:host/maintenance',
    summary:
      'Have the manager take a host out of use; asked again, it is the same. It answers once that is ordered, and not once no guest is there',
    access: 'operator',
    params: z.object({ host: hostName }),
    /** `stopped`: guests that are off leave, too. */
    body: z.object({ stopped: z.boolean().default(false) }),
    response: maintenanceSight,
    errors: MAINTAINING,
  }),
  leaveMaintenanceMode: route({
    method: 'DELETE',
    path: '/v1/managed/hosts/:host/maintenance',
    summary: 'Have the manager use a host again, or not take it out of use after all',
    access: 'operator',
    params: z.object({ host: hostName }),
    response: maintenanceSight,
    errors: MAINTAINING,
  }),
};
