import { z } from 'zod';
import { hostName } from '../names.ts';
import { route } from '../route.ts';

export const maintenanceNote = z.string().min(1).max(500);

export const maintenanceRoutes = {
  setMaintenance: route({
    method: 'PUT',
    path: '/v1/hosts/:host/maintenance',
    summary:
      'Note that a host needs care, or take the note away (null): nothing moves there meanwhile, and the health policy counts it as ill',
    access: 'operator',
    params: z.object({ host: hostName }),
    body: z.strictObject({ note: maintenanceNote.nullable() }),
    response: z.object({ ok: z.literal(true) }),
    errors: ['GODWIT_STORE', 'GODWIT_HOST_UNKNOWN'],
  }),
};
