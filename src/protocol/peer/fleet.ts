import { z } from 'zod';
import { godwitError, type GodwitError } from '../../errors.ts';
import { address, hostName, MAX_AUTHORITIES, MAX_BUNDLE_BYTES } from '../names.ts';
import { role, type Role } from '../route.ts';

/**
 * The fleet's list: which hosts belong to it and which certificates count no more. The host that holds the CA signs it;
 * agents hand it on to each other and keep it on disk. A list says everything that holds: the newest one alone counts.
 */

export const MAX_MEMBERS = 1024;
export const MAX_REVOKED = 4096;
/** As text. In JSON it grows by the quotes that are escaped, and still fits into a request's body. */
export const MAX_LIST_CHARS = 512 * 1024;

const serialNumber = z
  .string()
  .regex(/^[0-9a-f]{1,40}$/, 'the serial number of a certificate: hexadecimal digits');
const isoTime = z.iso.datetime();

const member = z.object({
  name: hostName,
  address,
  /** Over other links. */
  addresses: z.array(address).max(8).default([]),
});
export type Member = z.infer<typeof member>;

/** `serial`: one certificate. `name`: all of that name which are valid from a moment before `before`. */
const revocation = z.union([
  z.object({ serial: serialNumber, at: isoTime }),
  z.object({ name: hostName, before: isoTime }),
]);
export type Revocation = z.infer<typeof revocation>;

export const fleetList = z.object({
  version: z.literal(1),
  number: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER),
  issuedAt: isoTime,
  /** After that nobody knows what was revoked since. */
  expiresAt: isoTime,
  /** The host that holds the CA. */
  holder: hostName.optional(),
  /** Names the site's secret that counts, and does not say it; absent: whichever each host has. */
  secret: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .optional(),
  /** Certificates (PEM) of the CAs that members trust, the issuing one first; absent: the one CA of a fleet without a rotation. */
  authorities: z
    .array(z.string().max(MAX_BUNDLE_BYTES / MAX_AUTHORITIES))
    .min(1)
    .max(MAX_AUTHORITIES)
    .optional(),
  members: z.array(member).max(MAX_MEMBERS),
  /** Hosts that were taken out: no configuration lets them in again, only a new certificate does. */
  removed: z.array(hostName).max(MAX_REVOKED),
  revoked: z.array(revocation).max(MAX_REVOKED),
  /** Hosts that have used a renewed certificate: of each, those that are valid from before `from` count no more. */
  renewed: z
    .array(z.object({ name: hostName, from: isoTime }))
    .max(MAX_MEMBERS)
    .optional(),
});
export type FleetList = z.infer<typeof fleetList>;

/** The list's own text, since a signature is over bytes. */
export const signedList = z.object({
  list: z.string().max(MAX_LIST_CHARS),
  signature: z
    .string()
    .max(86)
    .regex(/^[A-Za-z0-9_-]{86}$/, 'a signature: 64 bytes in base64url'),
});
export type SignedList = z.infer<typeof signedList>;

/** What is signed: no other text that this key signs begins so. */
export function signedText({ list }: Pick<SignedList, 'list'>): string {
  return `godwit fleet list 1\n${list}`;
}

/** The list that a text means, or what is wrong with it. Says nothing of the signature. */
export function parseList(text: string): FleetList | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  const parsed = fleetList.safeParse(json);
  if (!parsed.success) return z.prettifyError(parsed.error).slice(0, 500);
  const names = parsed.data.members.map(({ name }) => name);
  return new Set(names).size === names.length ? parsed.data : 'it names a host twice';
}

/** A list together with its own bytes. */
export interface KnownList {
  readonly list: FleetList;
  readonly signed: SignedList;
}

/**
 * Which of two lists counts: that of the higher number. One CA gives a number once; where a CA that was restored from a
 * backup gave it again, every host decides alike, in whatever order the two came.
 */
export function newerList(
  one: KnownList | undefined,
  other: KnownList | undefined,
): KnownList | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return compareLists(one, other) < 0 ? other : one;
}

function compareLists(one: KnownList, other: KnownList): number {
  return (
    one.list.number - other.list.number ||
    Date.parse(one.list.issuedAt) - Date.parse(other.list.issuedAt) ||
    compareText(one.signed.list, other.signed.list)
  );
}

function compareText(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}

/** What a certificate of our CA says of its holder. */
export interface ShownCertificate {
  readonly name: string;
  readonly role: Role;
  /** Hexadecimal, as OpenSSL or node write it. */
  readonly serial: string;
  readonly validFromMs: number;
  /** Common name of the CA that signed it; absent if the caller did not keep it. */
  readonly issuer?: string;
}

/** Lower case, and without leading zeros: two programs write one number alike. */
export function plainSerial(text: string): string {
  return text.toLowerCase().replace(/^0+(?=.)/, '');
}

/** Since when this certificate counts no more, ISO 8601; undefined while it does. */
export function revokedSince(list: FleetList, shown: ShownCertificate): string | undefined {
  for (const each of list.revoked) {
    if ('serial' in each) {
      if (plainSerial(each.serial) === plainSerial(shown.serial)) return each.at;
    } else if (each.name === shown.name && shown.validFromMs < Date.parse(each.before)) {
      return each.before;
    }
  }
  if (shown.role !== role.enum.agent) return undefined;
  const from = renewedFrom(list, shown.name);
  return from !== undefined && shown.validFromMs < Date.parse(from) ? from : undefined;
}

/** The earliest moment from which a host's certificate may be valid to count, as its last renewal says, ISO 8601. */
export function renewedFrom({ renewed = [] }: FleetList, host: string): string | undefined {
  return renewed.find(({ name }) => name === host)?.from;
}

/** What a host goes by: itself, its newest list, and the peers of its configuration. */
export interface Knowledge {
  readonly self: string;
  readonly list: FleetList | undefined;
  readonly peers: ReadonlySet<string>;
}

/**
 * Why the holder of a certificate of our CA has no right here, now; undefined where it has those of its role.
 * A list that is too old lets hosts go on, so that no guest is stranded by it, and no person.
 */
export function refusalOf(
  shown: ShownCertificate,
  { self, list, peers }: Knowledge,
  nowMs: number,
): GodwitError | undefined {
  const peer = shown.name;
  if (list !== undefined) {
    const date = revokedSince(list, shown);
    if (date !== undefined) return godwitError('GODWIT_CERT_REVOKED', { peer, date });
  }
  if (shown.role === role.enum.agent) {
    return shown.name === self || isMember(shown.name, list, peers)
      ? undefined
      : godwitError('GODWIT_NOT_A_MEMBER', { peer, host: self });
  }
  // It carries what hosts say to each other, and no more than a list that is too old does it strand a guest.
  if (shown.role === role.enum.relay) return undefined;
  if (list === undefined || Date.parse(list.expiresAt) >= nowMs) return undefined;
  return godwitError('GODWIT_LIST_EXPIRED', { host: self, date: list.expiresAt });
}

function isMember(name: string, list: FleetList | undefined, peers: ReadonlySet<string>): boolean {
  if (list?.removed.includes(name) === true) return false;
  return peers.has(name) || list?.members.some((each) => each.name === name) === true;
}

/** Where a host's peers are reached: its own configuration says so first, for the others the list. */
export function combinedPeers<T extends { readonly address: string }>(
  self: string,
  list: FleetList | undefined,
  configured: Readonly<Record<string, T>>,
): Record<string, T | Member> {
  const all = new Map<string, T | Member>(Object.entries(configured));
  for (const each of list?.members ?? []) {
    if (!all.has(each.name)) all.set(each.name, each);
  }
  for (const name of [self, ...(list?.removed ?? [])]) all.delete(name);
  return Object.fromEntries(all);
}
