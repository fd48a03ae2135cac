import { createHash, X509Certificate } from 'node:crypto';
import { godwitError, type GodwitError } from '../errors.ts';
import { MAX_AUTHORITIES, MAX_BUNDLE_BYTES } from '../protocol/names.ts';

/**
 * The CAs of a `ca.crt`: one, or during a rotation several, each trusted alike. Every reader of such a file uses this
 * module. The first CA is the one that issues, so that earlier builds, which read only the first, use it.
 */
export interface Authority {
  readonly certificate: X509Certificate;
  /** One block, with a line end. */
  readonly pem: string;
  /** SHA-256, base64url. */
  readonly fingerprint: string;
}

const BEGIN = '-----BEGIN ';
const DASHES = '-----';
const FIX =
  'Copy ca.crt from the host of the CA (`caDir`) again, or remove this entry: every entry is a CA certificate in PEM.';

/** The CAs of a bundle. GODWIT_PKI names the file, the entry and the fix. */
export function parseBundle(text: string, file = 'ca.crt'): readonly [Authority, ...Authority[]] {
  const fail = (what: string, cause?: unknown): GodwitError =>
    godwitError('GODWIT_PKI', { what }, { cause, hint: FIX });
  if (text.trim() === '') throw fail(`${file} is empty`);
  if (Buffer.byteLength(text) > MAX_BUNDLE_BYTES)
    throw fail(`${file} is larger than ${MAX_BUNDLE_BYTES / 1024} KiB`);
  const [, ...begun] = text.split(BEGIN);
  if (begun.length === 0) throw fail(`${file} is no certificate in PEM`);
  if (begun.length > MAX_AUTHORITIES)
    throw fail(
      `${file} has ${begun.length} entries, and at most ${MAX_AUTHORITIES} CAs are trusted`,
    );
  const all = begun.map((rest, index) => {
    const entry = `${file}: entry ${index + 1}`;
    const [kind = ''] = rest.split(DASHES, 1);
    const end = `${DASHES}END ${kind}${DASHES}`;
    const at = rest.indexOf(end);
    if (at === -1) throw fail(`${entry} has no end`);
    if (kind !== 'CERTIFICATE') throw fail(`${entry} is a ${kind.slice(0, 40)}, not a certificate`);
    try {
      return authorityOf(`${BEGIN}${rest.slice(0, at)}${end}`);
    } catch (cause) {
      throw fail(`${entry} is damaged`, cause);
    }
  });
  for (const [index, { certificate }] of all.entries()) {
    if (certificate.ca && certificate.verify(certificate.publicKey)) continue;
    const subject = certificate.subject.replaceAll('\n', ', ');
    throw fail(`${file}: entry ${index + 1} (${subject}) is not the certificate of a CA`);
  }
  const known = new Map(all.map((each) => [each.fingerprint, each]));
  const [first, ...others] = known.values();
  if (first === undefined) throw fail(`${file} is no certificate in PEM`);
  return [first, ...others];
}

/** The CA of a bundle that signed a certificate; undefined if none of them did. */
export function issuerAmong<T extends Pick<Authority, 'certificate'>>(
  authorities: readonly T[],
  certificate: X509Certificate,
): T | undefined {
  return authorities.find((each) => certificate.verify(each.certificate.publicKey));
}

/** The PEM text of a bundle. */
export function bundleText(authorities: readonly Pick<Authority, 'pem'>[]): string {
  return authorities.map(({ pem }) => pem).join('');
}

/** SHA-256 of a certificate, base64url: what a join token carries. */
export function fingerprintOf(cert: string | Buffer): string {
  return createHash('sha256').update(new X509Certificate(cert).raw).digest('base64url');
}

function authorityOf(text: string): Authority {
  const certificate = new X509Certificate(text);
  return { certificate, pem: `${text.trim()}\n`, fingerprint: fingerprintOf(certificate.raw) };
}
