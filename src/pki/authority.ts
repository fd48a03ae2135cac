import { existsSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '../clock.ts';
import { godwitError } from '../errors.ts';
import { FLEET_FILE } from '../host/fleet.ts';
import { defined } from '../protocol/defined.ts';
import type { SignedList } from '../protocol/peer/fleet.ts';
import type { Role } from '../protocol/route.ts';
import { changeList, latestList, readmitted, validFrom } from './fleet-list.ts';
import { makePrivateDir, readAuthority, writePrivate } from './files.ts';
import { daysFor, recordIssued } from './issued.ts';
import { fingerprintOf } from '../rpc/trust-bundle.ts';
import { SITE_SECRET, siteSecretOf } from './site-secret.ts';

const CA_DAYS = 3650;

export interface Issue {
  /** Directory of the CA: ca.crt and ca.key. */
  readonly caDir: string;
  readonly name: string;
  readonly role: Role;
  /** IP addresses and further DNS names of the host; `localhost` where asked. */
  readonly addresses: readonly string[];
  /** May be fractions. Default: see daysFor. */
  readonly days?: number;
}

export interface IssuedCredentials {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
  /** Hosts only: see site-secret.ts. */
  readonly siteSecret?: string;
  /** Hosts, controllers and relays: the fleet's list, so that a new one knows the others. */
  readonly fleet?: SignedList;
}

/**
 * Makes a CA in `directory` (ca.crt, ca.key 0600).
 * GODWIT_PKI when one is there: a second would make every certificate of the first worthless.
 */
export async function initCa(
  directory: string,
  nowMs: number = systemClock.wallMs(),
): Promise<{ fingerprint: string; cert: string }> {
  const keyFile = path.join(directory, 'ca.key');
  if (existsSync(keyFile)) {
    const hint = 'Use another directory, or go on with this CA.';
    throw godwitError('GODWIT_PKI', { what: `${directory} holds a CA already` }, { hint });
  }
  const { makeAuthority } = await import('./x509.ts');
  const { cert, key } = await makeAuthority('Godwit CA', { nowMs, days: CA_DAYS });
  makePrivateDir(directory);
  writePrivate(path.join(directory, 'ca.crt'), cert);
  // Last: it is what makes the directory one of a CA.
  writePrivate(keyFile, key);
  return { fingerprint: fingerprintOf(cert), cert };
}

/** Makes a key and its certificate, which is from now on the one that can be renewed for its name. */
export async function issue(
  { caDir, name, role, addresses, days = daysFor(caDir, role) }: Issue,
  nowMs: number = systemClock.wallMs(),
): Promise<IssuedCredentials> {
  const authority = readAuthority(caDir);
  const { makeRequest, signRequest } = await import('./x509.ts');
  const { request, key } = await makeRequest(name);
  const subject = { name, role, addresses };
  const known = latestList(caDir);
  const fromMs = validFrom(known?.list, name);
  const cert = await signRequest(authority, request, subject, { nowMs, days, fromMs });
  recordIssued(caDir, { certificate: cert, days, nowMs });
  const issued = { ca: authority.bundle, cert, key };
  // They go by the hosts that the list names.
  if (role === 'controller' || role === 'relay') {
    return { ...issued, ...defined({ fleet: known?.signed }) };
  }
  if (role !== 'agent') return issued;
  const wasRemoved = known?.list.removed.includes(name) === true;
  const fleet = wasRemoved ? changeList(caDir, readmitted(name), nowMs) : known;
  const list = fleet === undefined ? {} : { fleet: fleet.signed };
  return { ...issued, siteSecret: siteSecretOf(caDir), ...list };
}

/** Writes ca.crt, STEM.crt and STEM.key (0600), and a host's site.secret, into a directory (0700). */
export function storeCredentials(
  directory: string,
  issued: IssuedCredentials,
  stem = 'host',
): void {
  makePrivateDir(directory);
  writePrivate(path.join(directory, 'ca.crt'), issued.ca);
  writePrivate(path.join(directory, `${stem}.key`), issued.key);
  writePrivate(path.join(directory, `${stem}.crt`), issued.cert);
  const { siteSecret } = issued;
  if (issued.fleet !== undefined) {
    writePrivate(path.join(directory, FLEET_FILE), `${JSON.stringify(issued.fleet)}\n`);
  }
  if (siteSecret !== undefined) writePrivate(path.join(directory, SITE_SECRET), `${siteSecret}\n`);
}
