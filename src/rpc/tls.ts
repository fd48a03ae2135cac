import { constants, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { Socket } from 'node:net';
import {
  createSecureContext,
  type SecureContext,
  type ConnectionOptions,
  type PeerCertificate,
  type Server,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { godwitError, type GodwitError } from '../errors.ts';
import { defined } from '../protocol/defined.ts';
import type { ShownCertificate } from '../protocol/peer/fleet.ts';
import { role, type Role } from '../protocol/route.ts';
import { hostName } from '../protocol/names.ts';
import { issuerAmong, parseBundle } from './trust-bundle.ts';

/** Why the holder of a certificate of our CA has no right now; undefined where it has. */
export type Refuses = (shown: ShownCertificate) => GodwitError | undefined;

/** A certificate and its key, in PEM. */
export interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** The PEM texts with which a process shows who it is, and the CAs that it trusts: one, or several during a rotation. */
export interface Credentials extends Pair {
  readonly ca: string;
  /** What counts now, asked for each connection that is made or taken; absent: `ca`, `cert` and `key`, for good. */
  readonly current?: () => Pair & { readonly ca?: string };
  /** Asked with every request of whoever calls, and of each server before a byte is sent; absent: nobody is refused. */
  readonly refuses?: Refuses;
  /** The relays that it calls and waits at, under its own name; absent: it uses none. */
  readonly relayed?: { readonly self: string; readonly relays: readonly RelayPlace[] };
}

/** A relay as a host's configuration names it. */
export interface RelayPlace {
  readonly name: string;
  /** host:port */
  readonly address: string;
}

/** What a client needs at least: without a certificate of its own it may call what is for anyone. */
export type Trust = Pick<Credentials, 'ca'> & Partial<Credentials>;

/** Who a certificate says its holder is: CN and OU of the subject. */
export interface Identity {
  readonly name: string;
  readonly role: Role;
}

/** ca.crt, and host.crt and host.key (or another `stem`), of a directory; GODWIT_PKI when one cannot be read. */
export function readCredentials(directory: string, stem = 'host'): Credentials {
  const read = (file: string): string => {
    try {
      return readFileSync(path.join(directory, file), 'utf8');
    } catch (cause) {
      const what = `cannot read ${path.join(directory, file)}`;
      throw godwitError('GODWIT_PKI', { what }, { cause });
    }
  };
  const ca = read('ca.crt');
  parseBundle(ca, path.join(directory, 'ca.crt'));
  return { ca, cert: read(`${stem}.crt`), key: read(`${stem}.key`) };
}

/** With the texts that count at this moment. */
function shownNow<T extends Trust>(credentials: T): T {
  return { ...credentials, ...credentials.current?.() };
}

/** The CA of a certificate: with the others of a bundle, a chain would hold certificates that sign nothing in it. */
function issuerText(ca: string, cert: string): string {
  if (ca.split('-----BEGIN ', 3).length < 3) return ca;
  const leaf = new X509Certificate(cert);
  return issuerAmong(parseBundle(ca), leaf)?.pem ?? ca;
}

/**
 * TLS 1.3 only. The handshake is taken from anyone, so that a refusal can be given in words: whoever serves must ask
 * `tlsCaller` first. No tickets: a resumed session shows no certificate, and node would call it authorised.
 */
export function serverTls(credentials: Credentials): TlsOptions {
  const { ca, cert, key } = shownNow(credentials);
  return {
    ca,
    key,
    // With the CA's own certificate, so that a host which joins can compare it with its token.
    cert: `${cert.trimEnd()}\n${issuerText(ca, cert)}`,
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: false,
    secureOptions: constants.SSL_OP_NO_TICKET,
    ALPNProtocols: ['http/1.1'],
  };
}

/** Shows and trusts what counts now, for whoever connects from now on; connections that stand go on with what they have. */
export function keepCurrent(
  server: Server,
  credentials: Credentials,
  made: typeof serverTls = serverTls,
): void {
  if (credentials.current === undefined) return;
  let shown = shownNow(credentials);
  // Before the listener that begins the handshake.
  server.prependListener('connection', (_socket: Socket) => {
    const now = shownNow(credentials);
    if (now.cert === shown.cert && now.ca === shown.ca) return;
    server.setSecureContext(made(credentials));
    shown = now;
  });
}

/**
 * TLS 1.3 only. Node would end a connection to a wrong server before its certificate can be looked at, and the date on
 * which it expired with it: so the handshake is taken, and `wrongServer` decides before a byte is sent.
 */
export function clientTls(credentials: Trust): ConnectionOptions {
  return {
    secureContext: contextOf(credentials),
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    ALPNProtocols: ['http/1.1'],
  };
}

const contexts = new WeakMap<
  Trust,
  { readonly cert: string | undefined; readonly ca: string; readonly made: SecureContext }
>();

/** Made once for all connections that show the same: each of its own would take 100 KiB of a controller. */
function contextOf(credentials: Trust): SecureContext {
  const { ca, cert, key } = shownNow(credentials);
  const known = contexts.get(credentials);
  if (known !== undefined && known.cert === cert && known.ca === ca) return known.made;
  // OpenSSL takes the entries before a damaged one, and says nothing of it.
  parseBundle(ca);
  const made = createSecureContext({
    ca,
    ...defined({ cert, key }),
    minVersion: 'TLSv1.3',
    maxVersion: 'TLSv1.3',
  });
  contexts.set(credentials, { cert, ca, made });
  return made;
}

/** `name` undefined: any server of that role. */
export interface ExpectedServer {
  readonly name: string | undefined;
  readonly role: Role;
}

/**
 * Why this is not the server we want (another CA, another name, another role, expired, refused by `refuses`); undefined
 * where it is.
 */
export function wrongServer(
  socket: TLSSocket,
  expected: ExpectedServer,
  refuses?: Refuses,
): GodwitError | undefined {
  const cert = socket.getPeerCertificate() as PeerCertificate | null;
  const peer = expected.name ?? 'the server';
  const untrusted = (reason: string): GodwitError =>
    godwitError('GODWIT_PEER_UNTRUSTED', { peer, reason });
  if (socket.isSessionReused()) return untrusted('a resumed session shows none');
  if (!socket.authorized) {
    // The type says Error; what node puts there is the code.
    const code = String(socket.authorizationError);
    return chainFailure(code, peer, cert?.valid_to) ?? untrusted(code);
  }
  const shown = identityOf(cert?.subject);
  if (typeof shown === 'string') return untrusted(shown);
  if (expected.name !== undefined && shown.name !== expected.name)
    return untrusted(`the one there is for ${shown.name}`);
  if (shown.role !== expected.role) {
    const facts = { peer, role: shown.role, action: 'to serve here', needs: expected.role };
    return godwitError('GODWIT_ROLE_FORBIDDEN', facts);
  }
  return cert === null ? undefined : refuses?.(shownBy(cert, shown));
}

/** What a list of revocations goes by. */
export function shownBy(cert: PeerCertificate, identity: Identity): ShownCertificate {
  const { serialNumber: serial, valid_from: from } = cert;
  const { CN: issuer } = cert.issuer as { readonly CN?: unknown };
  const shown = { ...identity, serial, validFromMs: Date.parse(from) };
  return typeof issuer === 'string' ? { ...shown, issuer } : shown;
}

/** CN and OU, where the certificate has exactly one of each and they are a name and a role; else why not. */
export function identityOf(
  subject: { readonly CN?: unknown; readonly OU?: unknown } | undefined,
): Identity | string {
  const { CN, OU } = subject ?? {};
  const name = hostName.safeParse(CN);
  if (!name.success) return 'its subject has no CN that is a name of Godwit';
  const said = role.safeParse(OU);
  if (!said.success) return 'its subject has no OU that is a role of Godwit';
  return { name: name.data, role: said.data };
}

const UNTRUSTED: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT: 'it is not from our CA',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'it is not from our CA',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'it is not from our CA',
  SELF_SIGNED_CERT_IN_CHAIN: 'it is from another CA',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself',
  CERT_SIGNATURE_FAILURE: 'its signature is not that of our CA',
  CERT_NOT_YET_VALID: 'it is not valid yet; check the clocks',
  INVALID_PURPOSE: 'it is for another purpose',
  CERT_REVOKED: 'it was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name or address',
};

/** What a failed check of a chain means, from OpenSSL's name for it; undefined where that is no such name. */
export function chainFailure(
  code: string | undefined,
  peer: string,
  validTo: string | undefined,
): GodwitError | undefined {
  if (code === 'CERT_HAS_EXPIRED') {
    return godwitError('GODWIT_CERT_EXPIRED', { peer, date: isoDate(validTo) });
  }
  const reason = code === undefined ? undefined : UNTRUSTED[code];
  return reason === undefined ? undefined : godwitError('GODWIT_PEER_UNTRUSTED', { peer, reason });
}

/** OpenSSL's date (`Nov 20 08:00:00 2026 GMT`) as ISO 8601. */
function isoDate(text: string | undefined): string {
  const at = Date.parse(text ?? '');
  return Number.isNaN(at) ? 'an earlier date' : new Date(at).toISOString();
}
