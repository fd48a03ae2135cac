import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { godwitError } from '../errors.ts';
import { renameSynced } from '../system/files/whole-file.ts';
import { defined } from '../protocol/defined.ts';
import type { SignedList } from '../protocol/peer/fleet.ts';
import { address, hostName, withHost } from '../protocol/names.ts';
import { role, type Role } from '../protocol/route.ts';
import {
  changeList,
  latestList,
  readmitted,
  revokedBefore,
  validFrom,
  withMember,
} from './fleet-list.ts';
import { makePrivateDir, readAuthority, writePrivate } from './files.ts';
import { daysFor, recordIssued } from './issued.ts';
import { siteSecretOf } from './site-secret.ts';

/**
 * A join token lets one new host get one certificate. As text: `gwj1/NAME/HOST:PORT/FINGERPRINT/SECRET`, where
 * HOST:PORT is the agent that holds the CA and FINGERPRINT names that CA, so that the new host knows whom it speaks to.
 * The CA's side keeps only the hash of the secret: `tokens/<hash>.json`, which moves to `tokens/used/` with its use.
 */
export interface JoinToken {
  readonly name: string;
  readonly address: string;
  readonly fingerprint: string;
  readonly secret: string;
}

const PREFIX = 'gwj1';
const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/);
const parts = z.tuple([
  z.literal(PREFIX),
  hostName,
  address,
  base64url.length(43),
  base64url.length(32),
]);

const stored = z.object({
  name: hostName,
  role,
  addresses: z.array(z.string()),
  days: z.number(),
  /** Where the agent of the new host will listen. */
  address: address.optional(),
  expiresAt: z.string(),
  /** When it was made, ISO 8601; absent in tokens of an earlier build. */
  madeAt: z.string().optional(),
});

export interface NewToken {
  readonly caDir: string;
  readonly name: string;
  readonly role: Role;
  readonly addresses: readonly string[];
  /** host:port of the agent that holds the CA. */
  readonly agent: string;
  /** How long the token may be used, ms. */
  readonly validMs: number;
  /** How long the certificate will be valid, days. */
  readonly days?: number;
}

/** Makes a token and keeps its hash with the CA; the text is not to be had again. */
export function makeToken(asked: NewToken, nowMs: number): string {
  const { caDir, name, agent, addresses, days = daysFor(caDir, asked.role) } = asked;
  const secret = randomBytes(24).toString('base64url');
  const { fingerprint } = readAuthority(caDir);
  const text = [PREFIX, name, agent, fingerprint, secret].join('/');
  // A token that cannot be read back is not given out.
  parseToken(text);
  const expiresAt = new Date(nowMs + asked.validMs).toISOString();
  const entry: z.infer<typeof stored> = {
    name,
    role: asked.role,
    addresses: [...addresses],
    days,
    ...memberAddress(asked),
    expiresAt,
    // After what was revoked of that name, whose time may lie a second ahead.
    madeAt: new Date(Math.max(nowMs, revokedFrom(caDir, name))).toISOString(),
  };
  writePrivate(fileOf(caDir, secret), `${JSON.stringify(entry)}\n`);
  return text;
}

/** A host listens on the first of its addresses, at the port at which the CA's agent does. */
function memberAddress({ role: whose, addresses, agent }: NewToken): { address?: string } {
  const [first] = addresses;
  return whose === 'agent' && first !== undefined ? { address: withHost(agent, first) } : {};
}

/** GODWIT_JOIN_TOKEN when the text is not a token. */
export function parseToken(text: string): JoinToken {
  const parsed = parts.safeParse(text.trim().split('/'));
  if (!parsed.success) throw refused('it is not one (gwj1/NAME/HOST:PORT/...)');
  const [, name, where, fingerprint, secret] = parsed.data;
  return { name, address: where, fingerprint, secret };
}

/**
 * Signs the key of `request` for the host that the token was made for, and uses the token up.
 * GODWIT_JOIN_TOKEN when it is unknown, used or expired; GODWIT_PKI when the request is bad, which leaves the token.
 */
export async function redeemToken(
  caDir: string,
  text: string,
  request: string,
  nowMs: number,
): Promise<{
  name: string;
  certificate: string;
  ca: string;
  siteSecret?: string;
  fleet?: SignedList;
}> {
  const { secret } = parseToken(text);
  const file = fileOf(caDir, secret);
  const entry = readEntry(file);
  if (Date.parse(entry.expiresAt) < nowMs) throw refused(`it expired on ${entry.expiresAt}`);
  const revokedMs = revokedFrom(caDir, entry.name);
  // Without a time of its own it is an earlier build's, and its file was never written again.
  const madeMs = Date.parse(entry.madeAt ?? statSync(file).mtime.toISOString());
  const wasEnded = (beforeMs: number): boolean => madeMs < beforeMs;
  if (wasEnded(revokedMs)) throw refused(`it was made before ${entry.name} was removed or revoked`);
  const authority = readAuthority(caDir);
  const { signRequest } = await import('./x509.ts');
  const { name, addresses, days } = entry;
  const subject = { name, role: entry.role, addresses };
  const fromMs = validFrom(latestList(caDir)?.list, name);
  const certificate = await signRequest(authority, request, subject, { nowMs, days, fromMs });
  // Of two who come at once only one can move the file.
  use(file);
  recordIssued(caDir, { certificate, days, nowMs });
  const signed = { name, certificate, ca: authority.cert };
  // Controllers and relays go by the hosts that the list names.
  if (entry.role === 'controller' || entry.role === 'relay')
    return { ...signed, ...defined({ fleet: latestList(caDir)?.signed }) };
  if (entry.role !== 'agent') return signed;
  const change =
    entry.address === undefined
      ? readmitted(name)
      : withMember({ name, address: entry.address, addresses: [] });
  const fleet = changeList(
    caDir,
    (list, atMs) => {
      // Removed by somebody between the look above and here: then it stays removed.
      if (wasEnded(revokedBefore(list, name))) throw refused(`${name} was removed or revoked`);
      return change(list, atMs);
    },
    nowMs,
  ).signed;
  return { ...signed, siteSecret: siteSecretOf(caDir), fleet };
}

/** Ends the tokens of a name that were not used yet; without a name, of all names. The names, once for each token. */
export function endTokens(caDir: string, name?: string): string[] {
  const directory = path.join(caDir, 'tokens');
  const files = existsSync(directory) ? readdirSync(directory) : [];
  const ended: string[] = [];
  for (const each of files.filter((file) => file.endsWith('.json'))) {
    const file = path.join(directory, each);
    try {
      const entry = readEntry(file);
      if (name !== undefined && entry.name !== name) continue;
      ended.push(entry.name);
    } catch {
      // Used meanwhile, or damaged: it lets nobody in.
      continue;
    }
    rmSync(file, { force: true });
  }
  return ended;
}

/** Until when what was given to that name counts no more, ms; 0 where nothing of it was revoked. */
function revokedFrom(caDir: string, name: string): number {
  const list = latestList(caDir)?.list;
  return list === undefined ? 0 : revokedBefore(list, name);
}

function readEntry(file: string): z.infer<typeof stored> {
  try {
    return stored.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (cause) {
    throw refused('it is unknown or was used already', cause);
  }
}

function use(file: string): void {
  const used = path.join(path.dirname(file), 'used');
  makePrivateDir(used);
  try {
    renameSynced(file, path.join(used, path.basename(file)));
  } catch (cause) {
    throw refused('it was used already', cause);
  }
}

function fileOf(caDir: string, secret: string): string {
  const directory = path.join(caDir, 'tokens');
  makePrivateDir(directory);
  return path.join(directory, `${createHash('sha256').update(secret).digest('hex')}.json`);
}

function refused(reason: string, cause?: unknown): Error {
  return godwitError('GODWIT_JOIN_TOKEN', { reason }, cause === undefined ? {} : { cause });
}
