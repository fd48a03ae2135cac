import { z } from 'zod';
import { webRole } from '../../protocol/controller/session.ts';

export const CALLBACK_PATH = '/v1/session/oidc/callback';

const filePath = z.string().min(1).max(4096);
const claimName = z.string().min(1).max(256);

function isHttps(text: string): boolean {
  return URL.canParse(text) && new URL(text).protocol === 'https:';
}

export const oidcConfig = z.strictObject({
  /** Label of the provider on the sign-in page, and suffix of each name. */
  name: z
    .string()
    .max(64)
    .regex(/^[^\p{C}\p{Zl}\p{Zp}]+$/u, 'a name without control characters'),
  /** The provider's name for itself; its metadata are below this URL. */
  issuer: z.string().max(512).refine(isHttps, 'not https://...'),
  clientId: z.string().min(1).max(256),
  /** One line, readable only by its owner. */
  clientSecretFile: filePath,
  /** As registered at the provider: https://HOST[:PORT]/v1/session/oidc/callback, with the host that browsers use. */
  redirectUrl: z
    .string()
    .max(512)
    .refine((text) => isHttps(text) && text === new URL(CALLBACK_PATH, text).href, {
      error: `not https://HOST[:PORT]${CALLBACK_PATH}`,
    }),
  /** PEM of the provider's CA. Default: Node's CAs. */
  caFile: filePath.optional(),
  /** Scopes besides `openid`. */
  scopes: z.array(z.string().min(1).max(64)).max(16).default(['profile']),
  /** Claim with the person's name; `sub` if it is missing. */
  nameClaim: claimName.default('preferred_username'),
  roles: z.strictObject({
    /** Claim that decides: its name, or the path to it. */
    claim: z.union([claimName, z.array(claimName).min(1).max(4)], 'no name of a claim'),
    /** value → role. The strongest matching role counts; without one, sign-in is refused. */
    values: z
      .record(z.string().min(1).max(256), webRole)
      .refine((values) => Object.keys(values).length > 0, 'no value has a role'),
  }),
  /** A session ends after this time even if it is active. */
  sessionHours: z.number().min(0.1).max(24).default(12),
});
export type OidcConfig = z.infer<typeof oidcConfig>;
