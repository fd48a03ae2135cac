/** `__Host-`: a browser takes it only over TLS, for this very host, and no other host sets it. */
export const COOKIE = '__Host-godwit';

const SECRET = /^gds_[A-Za-z0-9_-]{43}$/;

/** The session's secret in a Cookie header; undefined where there is none. */
export function secretIn(header: string | undefined): string | undefined {
  for (const part of (header ?? '').split(';')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    if (name === COOKIE && SECRET.test(value)) return value;
  }
  return undefined;
}

/** The Set-Cookie header that keeps a session's secret in a browser for `forMs`, where no script reads it. */
export function cookieOf(secret: string, forMs: number): string {
  const seconds = Math.max(0, Math.floor(forMs / 1000));
  return `${COOKIE}=${secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${seconds}`;
}

/** The Set-Cookie header that takes it from the browser. */
export const NO_COOKIE = cookieOf('', 0);
