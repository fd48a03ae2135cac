import { z } from 'zod';
import { moment } from '../names.ts';
import { route } from '../route.ts';

/** What a person or a program may at the web listener. Each may what the one before it may. */
export const WEB_ROLES = ['viewer', 'operator', 'admin'] as const;
export const webRole = z.enum(WEB_ROLES);
export type WebRole = z.infer<typeof webRole>;

/** How people may sign in here. */
const signInMethods = z.object({
  token: z.literal(true),
  /** `name`: the provider's, for a button. */
  oidc: z.object({ name: z.string().max(64) }).optional(),
});
export type SignInMethods = z.infer<typeof signInMethods>;

/** Who is signed in. */
export const session = z.object({
  name: z.string().max(256),
  role: webRole,
  /** When it ends by itself. */
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

export const sessionRoutes = {
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
