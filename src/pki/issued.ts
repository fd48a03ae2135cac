import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { godwitError } from '../errors.ts';
import { Mutex } from '../mutex.ts';
import { plainSerial, renewedFrom, revokedSince, type FleetList } from '../protocol/peer/fleet.ts';
import { issuedRecord, judgeRenewal, type IssuedRecord } from '../protocol/peer/renewal.ts';
import { defined } from '../protocol/defined.ts';
import { role, type Role } from '../protocol/route.ts';
import type { Identity } from '../rpc/tls.ts';
import { issuerAmong } from '../rpc/trust-bundle.ts';
import { readAuthority, writePrivate } from './files.ts';
import { changeList, latestList, onlyFrom, validFrom } from './fleet-list.ts';
import { ownIdentity } from './own-identity.ts';

/** Where the CA is: the last certificate that it gave to each name, and what comes after it. */

/** Where an agent beside the CA renews them, certificates are for so long. */
export const RENEWED_DAYS = 30;
const DAY_MS = 86_400_000;
/** Where nobody does. */
const UNRENEWED_DAYS = 365;

/** For how long a certificate is made where nobody says: hosts whose CA has an agent beside it renew theirs. */
export function daysFor(caDir: string, role: Role): number {
  const isRenewed = role === 'agent' && latestList(caDir)?.list.holder !== undefined;
  return isRenewed ? RENEWED_DAYS : UNRENEWED_DAYS;
}

export interface Issuance {
  /** PEM. */
  readonly certificate: string;
  readonly days: number;
  readonly nowMs: number;
  readonly renewal?: IssuedRecord['renewal'];
  /** CAs that its holder reported; absent: those that it gets with the certificate. */
  readonly trusts?: readonly string[];
}

/** From now on this is the certificate that can be renewed for its name. */
export function recordIssued(caDir: string, issuance: Issuance): void {
  const { certificate, days, nowMs, renewal } = issuance;
  const parsed = new X509Certificate(certificate);
  const { serialNumber, validFromDate } = parsed;
  const { authorities } = readAuthority(caDir);
  const { trusts = authorities.map(({ fingerprint }) => fingerprint) } = issuance;
  const record: IssuedRecord = {
    ...defined({ issuer: issuerAmong(authorities, parsed)?.fingerprint }),
    trusts: [...trusts],
    serial: plainSerial(serialNumber),
    at: new Date(nowMs).toISOString(),
    fromMs: validFromDate.getTime(),
    // Below zero: one that has expired, for tests.
    days: Math.abs(days),
    ...(renewal && { renewal }),
  };
  const identity = ownIdentity('a certificate', certificate);
  writePrivate(fileOf(caDir, identity), `${JSON.stringify(record)}\n`);
}

export interface RenewalResult {
  readonly name: string;
  /** PEM; absent where the one that was shown is to be kept. */
  readonly certificate?: string;
}

// If two ask for one name at once, the second is judged by what the first has got.
const asking = new Mutex();

/**
 * Signs the key of `request` for whoever holds `shown`, a certificate of this CA, for the same name, role and addresses.
 * `trusts`: the CAs that the holder reports to have in its ca.crt.
 * GODWIT_CERT_SUPERSEDED, GODWIT_CERT_REVOKED, GODWIT_NOT_A_MEMBER; GODWIT_PKI when the request is bad.
 */
export function renewCertificate(
  caDir: string,
  shown: X509Certificate,
  request: string,
  nowMs: number,
  trusts?: readonly string[],
): Promise<RenewalResult> {
  return asking.run(async () => {
    const identity = ownIdentity('the certificate that was shown', shown.toString());
    const { name, role } = identity;
    const serial = plainSerial(shown.serialNumber);
    const fromMs = shown.validFromDate.getTime();
    const list = latestList(caDir)?.list;
    if (list !== undefined) {
      // The agent that asked its own gate may not have seen this list yet.
      const date = revokedSince(list, { ...identity, serial, validFromMs: fromMs });
      if (date !== undefined) throw godwitError('GODWIT_CERT_REVOKED', { peer: name, date });
      if (role === 'agent' && list.removed.includes(name)) {
        throw godwitError('GODWIT_NOT_A_MEMBER', { peer: name, host: 'the CA' });
      }
    }
    const { addressesIn, keyIn, signRequest } = await import('./x509.ts');
    const key = createHash('sha256')
      .update(await keyIn(request))
      .digest('base64url');
    const last = lastIssued(caDir, identity);
    const authority = readAuthority(caDir);
    const otherCa =
      issuerAmong(authority.authorities, shown)?.fingerprint !== authority.fingerprint;
    const asked = { serial, fromMs, toMs: shown.validToDate.getTime(), key, otherCa };
    const ended = list !== undefined && last !== undefined && isEnded(list, name, last);
    switch (judgeRenewal(last, { ...asked, ended }, nowMs)) {
      case 'keep':
        if (last !== undefined && trusts !== undefined) reportTrust(caDir, identity, last, trusts);
        return { name };
      case 'again':
        return { name, certificate: last?.renewal?.certificate ?? '' };
      case 'superseded': {
        throw godwitError('GODWIT_CERT_SUPERSEDED', { peer: name, date: last?.at ?? '' });
      }
      case 'issue': {
        const days = last?.days ?? daysFor(caDir, role);
        const subject = { name, role, addresses: addressesIn(shown.toString()) };
        // Certificates know whole seconds, and the one that is shown must be distinguished from the next by its time.
        const valid = { nowMs, days, fromMs: Math.max(validFrom(list, name), fromMs + 1000) };
        const certificate = await signRequest(authority, request, subject, valid);
        const renewal = { shown: serial, key, certificate };
        // A host reports nothing here: its agent is asked.
        const reported = trusts ?? last?.trusts ?? [];
        recordIssued(caDir, { certificate, days, nowMs, renewal, trusts: reported });
        return { name, certificate };
      }
    }
  });
}

/**
 * A host itself has shown `shown`. Where that is the renewed certificate that it was given last, those from before it count
 * no more: the fleet's list says so from now on. True where the list was changed. Once for each renewal.
 */
export function endReplaced(caDir: string, shown: X509Certificate, nowMs: number): boolean {
  const replacing = replacesOthers(caDir, shown);
  if (replacing === undefined) return false;
  changeList(caDir, onlyFrom(replacing.name, replacing.fromMs), nowMs);
  return true;
}

/** Of a renewed certificate of a host, the last one of its name, before which others count: its name, and from when it is valid. */
export function replacesOthers(
  caDir: string,
  shown: X509Certificate,
): { readonly name: string; readonly fromMs: number } | undefined {
  const identity = ownIdentity('the certificate that was shown', shown.toString());
  const { name, role } = identity;
  const last = lastIssued(caDir, identity);
  const isRenewed = last?.renewal !== undefined && last.serial === plainSerial(shown.serialNumber);
  if (!isRenewed || role !== 'agent') return undefined;
  const list = latestList(caDir)?.list;
  const endedBefore = Date.parse((list && renewedFrom(list, name)) ?? new Date(0).toISOString());
  if (list === undefined || list.removed.includes(name) || endedBefore >= last.fromMs)
    return undefined;
  return { name, fromMs: last.fromMs };
}

/** Whether that certificate of a host is the last one of its name, and counts. */
export function isLast(caDir: string, name: string, serial: string): boolean {
  const list = latestList(caDir)?.list;
  const last = lastIssued(caDir, { name, role: 'agent' });
  return last?.serial === serial && !(list !== undefined && isEnded(list, name, last));
}

/** The holder of the last one keeps it, and has told which CAs it trusts. */
function reportTrust(
  caDir: string,
  identity: Identity,
  last: IssuedRecord,
  trusts: readonly string[],
): void {
  writePrivate(fileOf(caDir, identity), `${JSON.stringify({ ...last, trusts })}\n`);
}

export interface Holder extends Identity {
  readonly record: IssuedRecord;
}

/** Records that are read: more names than a fleet and its people have. */
const MAX_RECORDS = 100_000;

/** Names whose last certificate has neither expired nor been revoked. */
export function holders(caDir: string, nowMs: number): Holder[] {
  const directory = path.join(caDir, 'issued');
  const files = existsSync(directory) ? readdirSync(directory).toSorted() : [];
  const list = latestList(caDir)?.list;
  return files.slice(0, MAX_RECORDS).flatMap((file) => {
    const [, kind, name] = /^([a-z]+)-(.+)\.json$/.exec(file) ?? [];
    const parsed = role.safeParse(kind);
    if (!parsed.success || name === undefined) return [];
    const identity = { name, role: parsed.data };
    const record = lastIssued(caDir, identity);
    if (record === undefined || record.fromMs + record.days * DAY_MS < nowMs) return [];
    const { serial, fromMs } = record;
    const shown = { ...identity, serial, validFromMs: fromMs };
    const hasEnded =
      list !== undefined &&
      (revokedSince(list, shown) !== undefined ||
        (parsed.data === 'agent' && list.removed.includes(name)));
    return hasEnded ? [] : [{ ...identity, record }];
  });
}

/** Whether the last one that was given to a name was revoked since. */
function isEnded(list: FleetList, name: string, { serial, fromMs }: IssuedRecord): boolean {
  return revokedSince(list, { name, role: 'agent', serial, validFromMs: fromMs }) !== undefined;
}

function lastIssued(caDir: string, identity: Identity): IssuedRecord | undefined {
  const file = fileOf(caDir, identity);
  if (!existsSync(file)) return undefined;
  try {
    return issuedRecord.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    const hint = `Remove it: then whoever shows a certificate of ${identity.name} first gets the next one.`;
    throw godwitError('GODWIT_PKI', { what: `cannot read ${file}` }, { cause, hint });
  }
}

function fileOf(caDir: string, { name, role }: Identity): string {
  return path.join(caDir, 'issued', `${role}-${name}.json`);
}
