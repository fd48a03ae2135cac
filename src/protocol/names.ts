import { z } from 'zod';

/** Names become parts of file names, so they exclude characters with a meaning in shells and paths. */
export const hostName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a host name: up to 63 of a-z, 0-9 and -');
/** A place of hosts: a data centre, a cloud's region, a home. */
export const siteName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a site name: up to 63 of a-z, 0-9 and -');
export const guestName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'a guest name: up to 63 letters, digits, . _ -');
export const migrationId = z.string().regex(/^m-[0-9a-z]{8,32}$/, 'a migration id: m-...');
/** Identifies a check; distinct from every migration's id. */
export const checkId = z.string().regex(/^c-[0-9a-z]{16}$/, 'a check id: c-...');
/** host:port or [v6]:port, the port up to 65535 */
export const address = z
  .string()
  .max(128)
  .regex(
    /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
    'an address: host:port',
  );
/** A host's address on another link; default: the port of its main address. */
export const pathAddress = z
  .string()
  .max(128)
  .regex(
    /^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:(\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5]))?$/,
    'an address: host or host:port',
  );
/** Number of a guest's handover order; older epochs are void. */
export const epoch = z.number().int().min(1).max(Number.MAX_SAFE_INTEGER);
export const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
export const ms = z.number().nonnegative().max(1e12);
export const MAX_TEXT = 4096;
export const shortText = z.string().max(MAX_TEXT);
/** ISO 8601, by the clock of the reporting host. */
export const moment = z.string().max(64);
/** Time since a host's start; it never leaves that host. */
export const bootTime = z.object({
  bootId: z.string().max(64),
  uptimeMs: z.number().nonnegative(),
});

export type HostName = z.infer<typeof hostName>;

export function splitAddress(text: string): { host: string; port: number } {
  const at = text.lastIndexOf(':');
  return { host: text.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(text.slice(at + 1)) };
}

export function withHost(text: string, host: string): string {
  const { port } = splitAddress(text);
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

export function withPort(text: string, port: number): string {
  return `${text.slice(0, text.lastIndexOf(':'))}:${port}`;
}

/** host:port of a path's address, with the port of `main` as default. */
export function fullAddress(path: string, main: string): string {
  if (address.safeParse(path).success) return path;
  return withHost(main, path.replace(/^\[|\]$/g, ''));
}

export const datastoreName = z
  .string()
  .regex(/^[^\p{Cc}]{1,80}$/u, 'a name of a datastore: up to 80 characters');

/** CAs that are trusted at once: during a rotation the old one and the new one. */
export const MAX_AUTHORITIES = 4;
/** Of a `ca.crt`; the answer to a join has room for it. */
export const MAX_BUNDLE_BYTES = 16_384;
/** SHA-256 of a CA's certificate, base64url, as in a join token. */
export const fingerprint = z
  .string()
  .max(43)
  .regex(/^[A-Za-z0-9_-]{43}$/);
