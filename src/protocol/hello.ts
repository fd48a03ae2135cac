import { z } from 'zod';
import { hostName } from './names.ts';
import { route } from './route.ts';

export const hello = z.object({
  name: hostName,
  product: z.string().max(64),
  versions: z.array(z.number().int()).max(16),
});
export type Hello = z.infer<typeof hello>;

/** The first call on every TLS listener of agents and movers. */
export const helloRoutes = {
  hello: route({
    method: 'GET',
    path: '/hello',
    summary: 'Who answers, and which protocol versions it speaks',
    access: 'anyone',
    response: hello,
    errors: [],
  }),
};
