import { z } from 'zod';
import { moment } from '../names.ts';
import { LIST_BYTES, route } from '../route.ts';
import { token, webRole } from './session.ts';

export const tokenName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/, 'a name: up to 63 letters, digits, . _ @ -');

export const tokenEntry = z.object({
  name: tokenName,
  role: webRole,
  createdAt: moment,
  createdBy: z.string().max(256),
  /** Absent: until it is revoked. */
  expiresAt: moment.optional(),
  /** To the minute; absent: never. */
  usedAt: moment.optional(),
});
export type TokenEntry = z.infer<typeof tokenEntry>;

export const MAX_TOKENS = 10_000;
const YEARS_MS = 10 * 366 * 24 * 3_600_000;
const STORING = ['GODWIT_STORE'] as const;

export const tokenRoutes = {
  tokens: route({
    method: 'GET',
    path: '/v1/tokens',
    summary: 'The tokens that count, by name, without their secrets',
    access: 'admin',
    answerBytes: LIST_BYTES,
    response: z.object({ tokens: z.array(tokenEntry).max(MAX_TOKENS) }),
    errors: STORING,
  }),
  createToken: route({
    method: 'POST',
    path: '/v1/tokens',
    summary: 'Make a token; its secret is in this answer alone',
    access: 'admin',
    body: z.object({
      name: tokenName,
      role: webRole,
      /** From now, ms; absent: until it is revoked. */
      expiresInMs: z.number().int().min(1000).max(YEARS_MS).optional(),
    }),
    response: z.object({ token, entry: tokenEntry }),
    errors: [...STORING, 'GODWIT_TOKEN_TAKEN', 'GODWIT_OVERLOADED'],
  }),
  revokeToken: route({
    method: 'DELETE',
    path: '/v1/tokens/:name',
    summary: 'Revoke a token, and end the sessions that were begun with it',
    access: 'admin',
    params: z.object({ name: tokenName }),
    response: z.object({ ok: z.literal(true) }),
    errors: [...STORING, 'GODWIT_TOKEN_UNKNOWN'],
  }),
};
