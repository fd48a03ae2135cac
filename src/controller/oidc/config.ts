import { z } from 'zod';
import { webRole } from '../../protocol/controller/session.ts';

/** Where the provider sends a browser back to. */
export const CALLBACK_PATH = '/v1/session/oidc/callback';

const filePath = z.string().min(1).max(4096);
const claimName = z.string().min(1).max(256);

function isHttps(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:';
}

/** People sign in with a provider of OpenID Connect: the section `oidc` of `web`. */
export const oidcConfig = z.strictObject({
  /** What people call the provider: on the sign-in page, and behind each name. */
  name: z
    .string()
    .max(64)
    .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, 'a name without control characters'),
  /** As the provider names itself; its metadata lie below. */
  issuer: z.string().max(512).refine(isHttps, 'not https://...'),
  clientId: z.string().min(1).max(256),
  /** One line, which nobody else may read. */
  clientSecretFile: filePath,
  /** As it is registered at the provider: https://HOST[:PORT]/v1/session/oidc/callback, where HOST is as browsers know it. */
  redirectUrl: z
    .string()
    .max(512)
    .refine((text) => isHttps(text) && text === new URL(CALLBACK_PATH, text).href, {
      error: `not https://HOST[:PORT]${CALLBACK_PATH}`,
    }),
  /** PEM of the CA by which the provider is known. Default: those that Node knows. */
  caFile: filePath.optional(),
  /** What is asked of the provider besides `openid`. */
  scopes: z.array(z.string().min(1).max(64)).max(16).default(['profile']),
  /** The claim that names the person; where it lacks, `sub` does. */
  nameClaim: claimName.default('preferred_username'),
  roles: z.strictObject({
    /** The claim whose values decide: its name, or the names on the way to it. */
    claim: z.union([claimName, z.array(claimName).min(1).max(4)], 'no name of a claim'),
    /** value → role. Of several that match, the role that may most. Whoever has none is refused. */
    values: z
      .record(z.string().min(1).max(256), webRole)
      .refine((values) => Object.keys(values).length > 0, 'no value has a role'),
  }),
  /** A session ends after so long, however busy it is. */
  sessionHours: z.number().min(0.1).max(24).default(12),
});
export type OidcConfig = z.infer<typeof oidcConfig>;
