import { z } from 'zod';
import { moment } from '../names.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from '../public/page.ts';
import { LIST_BYTES, route } from '../route.ts';

export const MAX_AUDIT_ARGUMENTS = 2048;

const name = z.string().max(256);

/** How the caller was authenticated. `session`: a browser's; `oidc`: a person named by an OpenID Connect provider. */
export const auditMeans = z.enum(['certificate', 'socket', 'token', 'session', 'oidc', 'none']);
export type AuditMeans = z.infer<typeof auditMeans>;

export const auditEntry = z.object({
  id: z.string().max(64),
  at: moment,
  controller: name,
  /** The caller's name, or a stranger's address. */
  who: name,
  /** The role at that time; `none`: a stranger. */
  role: z.string().max(32),
  by: auditMeans,
  /** The caller's address; absent: this host's Unix socket. */
  from: name.optional(),
  what: z.string().max(64),
  route: name,
  /** JSON of the arguments without secrets, cut if long; absent for refused attempts. */
  arguments: z.string().max(MAX_AUDIT_ARGUMENTS).optional(),
  /** `ok`, or the error's code; absent: begun, without a known end. */
  result: z.string().max(64).optional(),
  /** Refused attempts before this one that exceeded the limit per minute. */
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
      who: name.optional(),
      what: z.string().max(64).optional(),
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
