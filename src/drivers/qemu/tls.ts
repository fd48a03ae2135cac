import { createPrivateKey, X509Certificate, getDiffieHellman } from 'node:crypto';
import { chmod, chown, mkdir, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { godwitError } from '../../errors.ts';
import type { StreamSetup, StreamTls } from '../../port/direct.ts';
import { bundleText, parseBundle } from '../../rpc/trust-bundle.ts';
import type { QmpClient } from './qmp/client.ts';
import { TLS_AUTHORIZATION, TLS_CREDENTIALS } from './stream.ts';
import { openAbove } from './user/access.ts';
import type { RunAs } from './user/confine.ts';

const TLS13_ONLY = 'NORMAL:-VERS-ALL:+VERS-TLS1.3';

/** Requires the credentials of a TLS stream, which must not start unencrypted. */
export function credentialsOf(setup: StreamSetup): StreamTls {
  if (setup.credentials !== undefined) return setup.credentials;
  throw godwitError('GODWIT_INTERNAL', { what: 'a TLS stream without credentials' });
}

/** Number of Godwit's directories in `stateDir/migrations/ID/tls`. */
const LEVELS = 4;
/** The pause between both renewals is very short. */
const PAIR_TRIES = 10;
const PAIR_PAUSE_MS = 20;

/**
 * Writes the files under the names that QEMU expects and returns their directory. `reader`: QEMU's user, if it
 * differs from ours.
 */
export async function layOutCredentials(
  tls: StreamTls,
  endpoint: 'client' | 'server',
  reader?: Pick<RunAs, 'uid' | 'gid'>,
): Promise<string> {
  const directory = path.join(tls.directory, `qemu-${endpoint}`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { cert, key } = await readPair(tls);
  const mode = 0o600;
  const authorities = validAuthorities(await readFile(tls.caFile, 'utf8'), tls.caFile, Date.now());
  await writeFile(path.join(directory, 'ca-cert.pem'), authorities, { mode });
  await writeFile(path.join(directory, `${endpoint}-cert.pem`), cert, { mode });
  await writeFile(path.join(directory, `${endpoint}-key.pem`), key, { mode });
  if (endpoint === 'server') {
    const file = path.join(directory, 'dh-params.pem');
    await writeFile(file, diffieHellmanPem(), { mode: 0o600 });
  }
  if (reader !== undefined) await giveAway(directory, reader);
  return directory;
}

/** QEMU refuses a whole file of CAs if one of them has expired, as the old one may during a rotation. */
export function validAuthorities(bundle: string, file: string, nowMs: number): string {
  const all = parseBundle(bundle, file);
  const valid = all.filter(({ certificate }) => certificate.validToDate.getTime() > nowMs);
  return bundleText(valid.length === 0 ? all : valid);
}

/** Both files are replaced, one after the other, when the host's certificate is renewed: read until they are a pair. */
async function readPair({ certFile, keyFile }: StreamTls): Promise<{ cert: string; key: string }> {
  for (let tried = 0; tried < PAIR_TRIES; tried += 1) {
    const key = await readFile(keyFile, 'utf8');
    const cert = await readFile(certFile, 'utf8');
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
    await new Promise((resolve) => setTimeout(resolve, PAIR_PAUSE_MS));
  }
  throw godwitError('GODWIT_PKI', { what: `${certFile} is not the certificate of ${keyFile}` });
}

/** Lets the reader open the files but not change them. */
async function giveAway(directory: string, { gid }: Pick<RunAs, 'gid'>): Promise<void> {
  const own = process.geteuid?.() ?? 0;
  for (const name of await readdir(directory)) {
    const file = path.join(directory, name);
    await chown(file, own, gid);
    await chmod(file, 0o640);
  }
  await chown(directory, own, gid);
  await chmod(directory, 0o750);
  await openAbove(path.dirname(directory), LEVELS);
}

export async function removeCredentials(
  tls: StreamTls | undefined,
  endpoint: 'client' | 'server',
): Promise<void> {
  if (tls === undefined) return;
  await rm(path.join(tls.directory, `qemu-${endpoint}`), { recursive: true, force: true });
  // The directory was created for this stream; it stays if it contains anything else.
  await rmdir(tls.directory).catch(() => {});
}

export function credentialObject(directory: string, endpoint: 'client' | 'server'): object {
  return {
    'qom-type': 'tls-creds-x509',
    id: TLS_CREDENTIALS,
    dir: directory,
    endpoint,
    'verify-peer': true,
    priority: TLS13_ONLY,
  };
}

/** Authorizes only the named host, not other holders of certificates of the same CA. */
export async function authorizationObject(tls: StreamTls): Promise<object> {
  const own = new X509Certificate(await readFile(tls.certFile));
  return {
    'qom-type': 'authz-simple',
    id: TLS_AUTHORIZATION,
    identity: peerIdentity(own.subject, tls.peer),
  };
}

/**
 * Peer's distinguished name in QEMU's format. All host certificates are made alike, so it is our subject with
 * the peer's name, in the certificate's order.
 */
export function peerIdentity(ownSubject: string, peer: string): string {
  const parts = ownSubject.split('\n').filter((part) => part !== '');
  const named = parts.map((part) => (part.startsWith('CN=') ? `CN=${peer}` : part));
  if (!named.includes(`CN=${peer}`)) {
    throw godwitError('GODWIT_PKI', {
      what: 'this host’s certificate has no name (CN) in its subject',
    });
  }
  return named.join(',');
}

/** Removes the objects if they exist. Parameters must no longer refer to them. */
export async function dropObjects(client: QmpClient, signal: AbortSignal): Promise<void> {
  await Promise.all(
    [TLS_CREDENTIALS, TLS_AUTHORIZATION].map((id) => client.request('object-del', { id }, signal)),
  );
}

/**
 * The 2048-bit group 14 of RFC 3526 as a PEM file. TLS 1.3 over elliptic curves does not use it, but a QEMU
 * server without the file generates a group first, which takes one or two seconds before it can listen.
 */
export function diffieHellmanPem(): string {
  const group = getDiffieHellman('modp14');
  const body = Buffer.concat([integer(group.getPrime()), integer(group.getGenerator())]);
  const lines =
    tagged(0x30, body)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return ['-----BEGIN DH PARAMETERS-----', ...lines, '-----END DH PARAMETERS-----', ''].join('\n');
}

/** DER integer; a leading zero keeps it positive. */
function integer(value: Buffer): Buffer {
  const positive = (value[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), value]) : value;
  return tagged(0x02, positive);
}

function tagged(tag: number, body: Buffer): Buffer {
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body]);
  const length = Buffer.from([0x82, body.length >> 8, body.length & 0xff]);
  return Buffer.concat([Buffer.from([tag]), length, body]);
}
