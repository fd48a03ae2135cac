/** `__Host-`: browsers accept it only over TLS for this host, and no other host can set it. */
export const COOKIE = '__Host-godwit';

const SECRET = /^gds_[A-Za-z0-9_-]{43}$/;

export function secretIn(header: string | undefined): string | undefined {
  for (const part of (header ?? '').split(';')) {
    const [name = '', value = ''] = part.trim().split('=', 2);
    if (name === COOKIE && SECRET.test(value)) return value;
  }
  return undefined;
}

/** Set-Cookie header that keeps a session's secret for `forMs`, hidden from scripts. */
export function cookieOf(secret: string, forMs: number): string {
  const seconds = Math.max(0, Math.floor(forMs / 1000));
  return `${COOKIE}=${secret}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${seconds}`;
}

export const NO_COOKIE = cookieOf('', 0);
