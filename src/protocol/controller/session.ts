import { z } from 'zod';
import { moment } from '../names.ts';
import { cursor, MAX_PER_PAGE, pageQuery } from '../public/page.ts';
import { LIST_BYTES, route } from '../route.ts';

/** Each role includes the ones before it. */
export const WEB_ROLES = ['viewer', 'operator', 'admin'] as const;
export const webRole = z.enum(WEB_ROLES);
export type WebRole = z.infer<typeof webRole>;

const signInMethods = z.object({
  token: z.literal(true),
  oidc: z.object({ name: z.string().max(64) }).optional(),
});
export type SignInMethods = z.infer<typeof signInMethods>;

export const session = z.object({
  name: z.string().max(256),
  role: webRole,
  expiresAt: moment.optional(),
  methods: signInMethods,
});
export type Session = z.infer<typeof session>;

/** `gdw_` and 32 random bytes in base64url. */
export const token = z
  .string()
  .max(47)
  .regex(/^gdw_[A-Za-z0-9_-]{43}$/, 'a token: gdw_...');

const STORING = ['GODWIT_STORE'] as const;

/** The first 64 bits of its secret's hash. */
export const sessionId = z
  .string()
  .max(16)
  .regex(/^[0-9a-f]{16}$/, 'the id of a session: 16 hex digits');

export const sessionEntry = z.object({
  id: sessionId,
  name: z.string().max(256),
  role: webRole,
  /** Name of its token; absent: signed in with a provider. */
  token: z.string().max(63).optional(),
  issuer: z.string().max(512).optional(),
  subject: z.string().max(255).optional(),
  createdAt: moment,
  expiresAt: moment,
});
export type SessionEntry = z.infer<typeof sessionEntry>;

export const sessionRoutes = {
  sessions: route({
    method: 'GET',
    path: '/v1/sessions',
    summary: 'The sessions of people’s browsers, newest first, without their secrets',
    access: 'admin',
    answerBytes: LIST_BYTES,
    query: z.object({ name: z.string().max(256).optional(), ...pageQuery(200) }),
    response: z.object({
      sessions: z.array(sessionEntry).max(MAX_PER_PAGE),
      next: cursor.optional(),
    }),
    errors: STORING,
  }),
  endSession: route({
    method: 'DELETE',
    path: '/v1/sessions/:id',
    summary: 'End one session',
    access: 'admin',
    params: z.object({ id: sessionId }),
    response: z.object({ ok: z.literal(true) }),
    errors: [...STORING, 'GODWIT_SESSION_UNKNOWN'],
  }),
  endSessions: route({
    method: 'DELETE',
    path: '/v1/sessions',
    summary: 'End all sessions of one name',
    access: 'admin',
    query: z.object({ name: z.string().min(1).max(256) }),
    response: z.object({ ended: z.number().int().nonnegative() }),
    errors: STORING,
  }),
  session: route({
    method: 'GET',
    path: '/v1/session',
    summary: 'Who is signed in',
    access: 'anyone',
    response: session,
    errors: [...STORING, 'GODWIT_SIGN_IN', 'GODWIT_TOKEN_REFUSED'],
  }),
  signIn: route({
    method: 'POST',
    path: '/v1/session',
    summary: 'Sign in with a token: the answer sets a cookie that stands for it',
    access: 'anyone',
    audited: 'by-handler',
    body: z.object({ token: z.string().max(256) }),
    response: session,
    errors: [...STORING, 'GODWIT_TOKEN_REFUSED', 'GODWIT_SIGN_IN_OFTEN', 'GODWIT_USAGE'],
  }),
  signOut: route({
    method: 'DELETE',
    path: '/v1/session',
    summary: 'Sign out: the cookie counts no more',
    access: 'anyone',
    audited: 'by-handler',
    response: z.object({ ok: z.literal(true) }),
    errors: STORING,
  }),
};
