import { z } from 'zod';
import { moment } from '../names.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from '../public/page.ts';
import { LIST_BYTES, route } from '../route.ts';

/** Characters of what was asked, as it is kept. */
export const MAX_AUDIT_ARGUMENTS = 2048;

const name = z.string().max(256);

/** How a controller knows who asks. `session`: of a browser; `oidc`: a person whom a provider of OpenID Connect named. */
export const auditMeans = z.enum(['certificate', 'socket', 'token', 'session', 'oidc', 'none']);
export type AuditMeans = z.infer<typeof auditMeans>;

/** One change that was asked of a controller, or one attempt that was refused. */
export const auditEntry = z.object({
  id: z.string().max(64),
  at: moment,
  /** The controller that was asked. */
  controller: name,
  /** The name of who asked; of a stranger, its address. */
  who: name,
  /** The role at that time; `none`: a stranger. */
  role: z.string().max(32),
  by: auditMeans,
  /** The address of who asked; absent: this very host, over the unix socket. */
  from: name.optional(),
  /** The route: its name, method and path. */
  what: z.string().max(64),
  route: name,
  /** JSON of what was asked, without secrets, cut where it is long; absent: of what was refused nothing is kept. */
  arguments: z.string().max(MAX_AUDIT_ARGUMENTS).optional(),
  /** `ok`, or the code of the error; absent: it was begun, and no end of it is known. */
  result: z.string().max(64).optional(),
  /** Refused attempts before this one that were too many in their minute to be kept. */
  unkept: z.number().int().positive().optional(),
});
export type AuditEntry = z.infer<typeof auditEntry>;

export const auditRoutes = {
  audit: route({
    method: 'GET',
    path: '/v1/audit',
    summary: 'Who asked for which change, from where, and what came of it; newest first',
    access: 'admin',
    answerBytes: LIST_BYTES,
    query: z.object({
      /** By name. */
      who: name.optional(),
      /** The name of a route, as entries have it in `what`. */
      what: z.string().max(64).optional(),
      /** Asked at that moment or later. */
      since: z.iso.datetime().max(64).optional(),
      ...pageQuery(100),
    }),
    response: z.object({
      entries: z.array(auditEntry).max(MAX_PER_PAGE),
      next: cursor.optional(),
    }),
    errors: ['GODWIT_STORE'],
  }),
};
