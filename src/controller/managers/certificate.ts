import { connect, type PeerCertificate } from 'node:tls';
import { godwitError } from '../../errors.ts';
import { momentOf } from '../inventory/answers.ts';

const CONNECT_MS = 10_000;
const MAX_WORDS = 1024;

export interface ShownCertificate {
  readonly fingerprint: string;
  readonly subject: string;
  readonly issuer: string;
  readonly validTo: string;
}

/** Reads the certificate at an https URL, for an operator to compare; sends nothing. GODWIT_UNREACHABLE. */
export function shownAt(url: string): Promise<ShownCertificate> {
  const { hostname, port } = new URL(url);
  const host = hostname.replace(/^\[|\]$/g, '');
  const { promise, resolve, reject } = Promise.withResolvers<ShownCertificate>();
  const fail = (reason: string, cause?: unknown): void =>
    reject(
      godwitError('GODWIT_UNREACHABLE', { peer: 'the manager', address: host, reason }, { cause }),
    );
  const socket = connect({
    host,
    port: Number(port || 443),
    ...(/^[\d.]+$|:/.test(host) ? {} : { servername: host }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: false,
  });
  const timer = setTimeout(() => {
    socket.destroy();
    fail(`no TLS within ${CONNECT_MS / 1000} s`);
  }, CONNECT_MS);
  socket.once('error', (cause) => fail(cause.message, cause));
  socket.once('close', () => {
    clearTimeout(timer);
    fail('the connection was closed');
  });
  socket.once('secureConnect', () => {
    const shown = certificateIn(socket.getPeerCertificate());
    if (shown === undefined) fail('its certificate cannot be read');
    else resolve(shown);
    socket.destroy();
  });
  return promise;
}

/** Undefined without a valid date: an unverified certificate may contain anything. */
function certificateIn(shown: Partial<PeerCertificate>): ShownCertificate | undefined {
  const { fingerprint256, subject, issuer, valid_to: validTo = '' } = shown;
  const validToMs = Date.parse(validTo);
  if (fingerprint256 === undefined || Number.isNaN(validToMs)) return undefined;
  return {
    fingerprint: fingerprint256.replaceAll(':', '').toLowerCase(),
    subject: wordsOf(subject),
    issuer: wordsOf(issuer),
    validTo: momentOf(validToMs),
  };
}

function wordsOf(name: PeerCertificate['subject'] | undefined): string {
  return Object.entries(name ?? {})
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(', ')
    .slice(0, MAX_WORDS);
}
