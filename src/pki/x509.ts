import 'reflect-metadata';
import { isIP } from 'node:net';
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  type JsonGeneralName,
  type PublicKey,
} from '@peculiar/x509';
import { godwitError } from '../errors.ts';
import { SKEW_MS } from '../protocol/peer/renewal.ts';
import type { Role } from '../protocol/route.ts';

/** Certificates and requests, in PEM. Loaded only where certificates are made: the library is large. */

const KEY = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

type KeyPair = Awaited<ReturnType<typeof newKeyPair>>;
type Key = KeyPair['privateKey'];

export interface Subject {
  readonly name: string;
  readonly role: Role;
  /** IP addresses and DNS names besides the name itself. */
  readonly addresses: readonly string[];
}

export interface Validity {
  readonly nowMs: number;
  /** May be fractions; below zero makes one that has expired, for tests. */
  readonly days: number;
  /** Not valid before this moment, ms. */
  readonly fromMs?: number;
}

async function newKeyPair() {
  return crypto.subtle.generateKey(KEY, true, ['sign', 'verify']);
}

/** A self-signed certificate for an authority, and its key. */
export async function makeAuthority(
  commonName: string,
  { nowMs, days }: Validity,
): Promise<{ cert: string; key: string }> {
  const keys = await newKeyPair();
  const cert = await X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: `CN=${commonName},O=Godwit`,
    notBefore: new Date(nowMs - SKEW_MS),
    notAfter: new Date(nowMs + days * DAY_MS),
    signingAlgorithm: SIGNATURE,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: pem(cert), key: await exportKey(keys.privateKey) };
}

/** A new key, and a request for its certificate. */
export async function makeRequest(name: string): Promise<{ request: string; key: string }> {
  const keys = await newKeyPair();
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: `CN=${name},O=Godwit`,
    keys,
    signingAlgorithm: SIGNATURE,
  });
  return { request: `${request.toString('pem')}\n`, key: await exportKey(keys.privateKey) };
}

/**
 * Signs the key of a request for `subject`, whatever name the request gives. GODWIT_PKI when the request is not one,
 * is not signed by its own key, or its key is not P-256.
 */
export async function signRequest(
  authority: { readonly cert: string; readonly key: string },
  request: string,
  subject: Subject,
  { nowMs, days, fromMs = 0 }: Validity,
): Promise<string> {
  const publicKey = await checkedKey(request);
  const issuer = new X509Certificate(authority.cert);
  const names: JsonGeneralName[] = [subject.name, ...subject.addresses].map((value) => ({
    type: isIP(value) === 0 ? 'dns' : 'ip',
    value,
  }));
  const cert = await X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${subject.name},OU=${subject.role},O=Godwit`,
    issuer: issuer.subject,
    notBefore: new Date(Math.max(Math.min(nowMs, nowMs + days * DAY_MS) - SKEW_MS, fromMs)),
    notAfter: new Date(Math.min(nowMs + days * DAY_MS, issuer.notAfter.getTime())),
    signingAlgorithm: SIGNATURE,
    publicKey,
    signingKey: await importKey(authority.key),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      // Not critical: QEMU up to 9.1 asks for key encipherment too where it is, which no ECDSA key may have.
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, false),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension(names),
      await SubjectKeyIdentifierExtension.create(publicKey),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  });
  return pem(cert);
}

/** The key that a request is for, DER; GODWIT_PKI when the request is bad. */
export async function keyIn(request: string): Promise<Uint8Array> {
  return new Uint8Array((await checkedKey(request)).rawData);
}

/** The addresses and further names in a certificate of ours (PEM). */
export function addressesIn(certificate: string): string[] {
  const parsed = new X509Certificate(certificate);
  const names = parsed.getExtension(SubjectAlternativeNameExtension)?.names.items ?? [];
  // The first is the name itself.
  return names.slice(1).map(({ value }) => value);
}

async function checkedKey(request: string): Promise<PublicKey> {
  const bad = (what: string, cause?: unknown): Error =>
    godwitError('GODWIT_PKI', { what: `the certificate request ${what}` }, { cause });
  let parsed: Pkcs10CertificateRequest;
  try {
    parsed = new Pkcs10CertificateRequest(request);
  } catch (cause) {
    throw bad('cannot be read', cause);
  }
  const algorithm = parsed.publicKey.algorithm as { name?: string; namedCurve?: string };
  if (algorithm.name !== KEY.name || algorithm.namedCurve !== KEY.namedCurve) {
    throw bad('has a key other than ECDSA P-256');
  }
  if (!(await parsed.verify().catch(() => false))) throw bad('is not signed by its own key');
  return parsed.publicKey;
}

function pem(cert: X509Certificate): string {
  return `${cert.toString('pem')}\n`;
}

/** 127 random bits, positive. */
function serial(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

async function exportKey(key: Key): Promise<string> {
  const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', key)).toString('base64');
  const lines = der.match(/.{1,64}/g) ?? [];
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`;
}

async function importKey(text: string): Promise<Key> {
  const der = Buffer.from(text.replaceAll(/-----[A-Z ]+-----|\s/g, ''), 'base64');
  return crypto.subtle.importKey('pkcs8', der, KEY, false, ['sign']);
}
