import { createPrivateKey, sign } from 'node:crypto';
import { existsSync, linkSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import { godwitError } from '../errors.ts';
import { checkList } from '../host/fleet.ts';
import { syncDirectory } from '../system/journal-file.ts';
import {
  MAX_LIST_CHARS,
  MAX_MEMBERS,
  MAX_REVOKED,
  parseList,
  plainSerial,
  renewedFrom,
  signedList,
  signedText,
  type FleetList,
  type KnownList,
  type Member,
  type Revocation,
} from '../protocol/peer/fleet.ts';
import { readAuthority, readPki, writePrivate } from './files.ts';

/** The fleet's list where the CA is: each number is a file of its own, and the highest one is the list. */

const DAY_MS = 86_400_000;
/** How long hosts may go without a newer list before they refuse persons. */
const LIST_DAYS = 7;
/** A list is signed anew once so much of its life is over. */
const RENEW_AFTER_MS = (LIST_DAYS * DAY_MS) / 2;
/** Older ones are kept for who wants to see what was changed. */
const KEPT = 32;
/** No certificate is issued for longer than `pki issue --days` takes: after that its revocation says nothing. */
const LONGEST_CERTIFICATE_MS = 3650 * DAY_MS;
/** Changes that several processes make at once happen one after the other. */
const TRIES = 64;

/** The newest list of a CA; undefined where it has made none. GODWIT_PKI when it cannot be used. */
export function latestList(caDir: string): KnownList | undefined {
  const number = numbers(caDir).at(-1);
  if (number === undefined) return undefined;
  const file = fileOf(caDir, number);
  const hint = `Remove ${file} if it is damaged: the one before it counts then.`;
  let signed;
  try {
    signed = signedList.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw godwitError('GODWIT_PKI', { what: `cannot read ${file}` }, { cause, hint });
  }
  return checkList(signed, readPki(path.join(caDir, 'ca.crt'), hint));
}

/** A change in the moment of a look may leave the file system's time as it was (it may count in 2 s); one that comes so long after it does not. */
const SETTLED_MS = 2500;

/**
 * The newest list of a CA for who looks every second: it is read and checked again only where something has changed. Throws
 * as latestList does, at each look.
 */
export function followedList(
  caDir: string,
  clock: Pick<Clock, 'monotonicMs'>,
): () => KnownList | undefined {
  let seen: { readonly mark: string; readonly sinceMs: number } | undefined;
  let settled: { readonly mark: string; readonly list: KnownList | undefined } | undefined;
  return () => {
    const [mark, nowMs] = [markOf(caDir), clock.monotonicMs()];
    if (settled !== undefined && mark === settled.mark) return settled.list;
    if (seen === undefined || mark !== seen.mark)
      seen = mark === undefined ? undefined : { mark, sinceMs: nowMs };
    const list = latestList(caDir);
    if (seen !== undefined && nowMs - seen.sinceMs >= SETTLED_MS) settled = { ...seen, list };
    return list;
  };
}

/** Differs once there is another newest list, its file or the CA's is another one; undefined where there is none of them. */
function markOf(caDir: string): string | undefined {
  const number = numbers(caDir).at(-1);
  if (number === undefined) return undefined;
  const marks = [fileOf(caDir, number), path.join(caDir, 'ca.crt')].map((place) => {
    const stat = statSync(place, { bigint: true, throwIfNoEntry: false });
    // Not mtime: whoever copies files can set that back.
    return stat === undefined ? undefined : `${stat.ino}-${stat.ctimeNs}-${stat.size}`;
  });
  return marks.includes(undefined) ? undefined : `${number} ${marks.join(' ')}`;
}

export type Change = (list: FleetList, nowMs: number) => FleetList;

/**
 * Signs a list with `change` made to the newest one. Two processes that do so at once make two lists, one upon the other.
 * GODWIT_PKI when there is no CA, or the list would be larger than hosts take.
 */
export function changeList(caDir: string, change: Change, nowMs: number): KnownList {
  const { bundle: ca, key: pem } = readAuthority(caDir);
  const key = createPrivateKey(pem);
  for (let tried = 0; tried < TRIES; tried += 1) {
    const before = latestList(caDir)?.list ?? emptyList();
    const next: FleetList = {
      ...tidied(change(before, nowMs), nowMs),
      number: before.number + 1,
      issuedAt: new Date(nowMs).toISOString(),
      expiresAt: new Date(nowMs + LIST_DAYS * DAY_MS).toISOString(),
    };
    const list = JSON.stringify(next);
    checkRoom(list);
    const signature = sign('sha256', Buffer.from(signedText({ list })), {
      key,
      dsaEncoding: 'ieee-p1363',
    });
    const made = checkList({ list, signature: signature.toString('base64url') }, ca);
    if (keepList(caDir, made)) return made;
  }
  throw godwitError('GODWIT_PKI', {
    what: `the list in ${caDir} is changed by others all the time`,
  });
}

/** Puts a list that the CA signed among the others; false where there is one of its number. */
export function keepList(caDir: string, { list, signed }: KnownList): boolean {
  const file = fileOf(caDir, list.number);
  const temporary = `${file}.${process.pid}.new`;
  writePrivate(temporary, `${JSON.stringify(signed)}\n`);
  try {
    // Of two who make the same number only one gets its name.
    linkSync(temporary, file);
    syncDirectory(path.dirname(file));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw thrown;
  } finally {
    rmSync(temporary, { force: true });
  }
  for (const old of numbers(caDir).slice(0, -KEPT)) rmSync(fileOf(caDir, old), { force: true });
  return true;
}

/** Whether the list is to be signed anew, so that hosts never have an old one. */
export function isDue({ issuedAt }: FleetList, nowMs: number): boolean {
  return nowMs - Date.parse(issuedAt) >= RENEW_AFTER_MS;
}

/** The same, for longer. */
export const unchanged: Change = (list) => list;

/** A host belongs to the fleet from now on, also one that was taken out before. */
export function withMember(member: Member): Change {
  return (list) => ({
    ...list,
    members: [...list.members.filter(({ name }) => name !== member.name), member],
    removed: list.removed.filter((name) => name !== member.name),
  });
}

/** It has a new certificate: where it was taken out, `peers` count for it again. */
export function readmitted(name: string): Change {
  return (list) => ({ ...list, removed: list.removed.filter((each) => each !== name) });
}

/** The host that holds the CA. */
export function heldBy(member: Member): Change {
  return (list, nowMs) => ({ ...withMember(member)(list, nowMs), holder: member.name });
}

/** Whether that host is the one in the list, at these addresses. */
export function isHeldBy({ holder, members }: FleetList, member: Member): boolean {
  const kept = members.find(({ name }) => name === member.name);
  return holder === member.name && isDeepStrictEqual(kept, member);
}

/** All certificates of a name that were issued until now count no more. */
export function withoutName(name: string): Change {
  return (list, nowMs) => {
    // Certificates know whole seconds.
    const before = Math.max(Math.floor(nowMs / 1000) * 1000, validFrom(list, name) + 1000);
    const others = list.revoked.filter((each) => !('name' in each && each.name === name));
    const entry = { name, before: new Date(before).toISOString() };
    return { ...list, revoked: [...others, entry] };
  };
}

/** One certificate counts no more. */
export function withoutSerial(serial: string): Change {
  return (list, nowMs) => {
    const plain = plainSerial(serial);
    const isThere = list.revoked.some((each) => 'serial' in each && each.serial === plain);
    if (isThere) return list;
    return { ...list, revoked: [...list.revoked, { serial: plain, at: iso(nowMs) }] };
  };
}

/** A host has used a renewed certificate: of its own, those that are valid from before `fromMs` count no more. */
export function onlyFrom(name: string, fromMs: number): Change {
  return (list) => {
    const others = (list.renewed ?? []).filter((each) => each.name !== name);
    return { ...list, renewed: [...others, { name, from: iso(fromMs) }].slice(-MAX_MEMBERS) };
  };
}

/** A host leaves the fleet: its certificates count no more, and no configuration lets it in. */
export function withoutHost(name: string): Change {
  return (list, nowMs) => {
    if (list.holder === name) {
      const hint = 'Move the CA and `caDir` to another host first.';
      throw godwitError('GODWIT_PKI', { what: `${name} holds the CA` }, { hint });
    }
    const rest = withoutName(name)(list, nowMs);
    return {
      ...rest,
      members: rest.members.filter((each) => each.name !== name),
      removed: [...rest.removed.filter((each) => each !== name), name],
    };
  };
}

/**
 * The earliest moment from which a new certificate of this name may be valid, so that an earlier revocation does not
 * reach it; ms.
 */
export function validFrom(list: FleetList | undefined, name: string): number {
  if (list === undefined) return 0;
  return Math.max(revokedBefore(list, name), Date.parse(renewedFrom(list, name) ?? iso(0)));
}

/** Until when all that was given to a name was revoked, ms; 0 where nothing was. */
export function revokedBefore(list: FleetList, name: string): number {
  const found = list.revoked.find((each) => 'name' in each && each.name === name);
  return found !== undefined && 'before' in found ? Date.parse(found.before) : 0;
}

/** Nothing is revoked for longer than a certificate may be valid. */
function tidied(list: FleetList, nowMs: number): FleetList {
  const since = (each: Revocation): number => Date.parse('at' in each ? each.at : each.before);
  const revoked = list.revoked.filter((each) => nowMs - since(each) < LONGEST_CERTIFICATE_MS);
  const renewed = list.renewed?.filter(
    (each) => nowMs - Date.parse(each.from) < LONGEST_CERTIFICATE_MS,
  );
  return { ...list, revoked, ...(renewed && { renewed }) };
}

function checkRoom(text: string): void {
  const parsed = parseList(text);
  if (text.length <= MAX_LIST_CHARS && typeof parsed !== 'string') return;
  const limits = `${MAX_MEMBERS} hosts and ${MAX_REVOKED} revocations`;
  const why = typeof parsed === 'string' ? parsed : 'it is too long';
  throw godwitError('GODWIT_PKI', { what: `the fleet’s list takes ${limits}: ${why}` });
}

function emptyList(): FleetList {
  const never = iso(0);
  const nothing = { members: [], removed: [], revoked: [] };
  return { version: 1, number: 0, issuedAt: never, expiresAt: never, ...nothing };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function numbers(caDir: string): number[] {
  const directory = path.join(caDir, 'fleet');
  const names = existsSync(directory) ? readdirSync(directory) : [];
  const found = names.map((name) => /^([1-9]\d{0,15})\.json$/.exec(name)?.[1]);
  return found
    .filter((each) => each !== undefined)
    .map(Number)
    .toSorted((a, b) => a - b);
}

function fileOf(caDir: string, number: number): string {
  return path.join(caDir, 'fleet', `${number}.json`);
}
