import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { XdrWriter, type XdrReader } from '../../../formats/xdr.ts';
import { addressOf } from './address.ts';
import { secretIn } from './auth-file.ts';
import { denied, LibvirtRefusal } from './connection.ts';
import {
  finalMessage,
  firstMessage,
  isProved,
  SCRAM_HASHES,
  ScramError,
  type ScramMechanism,
  type Secret,
} from './scram.ts';

/**
 * Login that a daemon requires (`auth_unix_rw`, `auth_tls`): none, polkit, or SASL with the user and password of
 * libvirt's file. Uses the numbers of libvirt's remote_protocol.x.
 */

const PROC = { list: 66, saslInit: 67, saslStart: 68, saslStep: 69, polkit: 70 } as const;
const AUTH = { none: 0, sasl: 1, polkit: 2 } as const;
const MAX_AUTH = 20;
const MAX_DATA = 65_536;
const MAX_NAMES = 4096;
const NONCE_BYTES = 18;

const FILE =
  'Put a user of it into that file as libvirt’s own clients have it (`[credentials-NAME]`, `[auth-libvirt-HOST]`), which only the agent’s user may read.';
const POLKIT =
  'Let polkit allow `org.libvirt.unix.manage` to the agent’s user there by a rule, or run the agent as root, whom libvirt does not ask.';
const OTHERS =
  'Let libvirt offer SCRAM-SHA-256, or PLAIN, there (`mech_list` in /etc/sasl2/libvirt.conf), or take `auth_unix_rw = "none"`, or certificates with `auth_tls = "none"`.';

export type Ask = (procedure: number, body: XdrWriter) => Promise<XdrReader>;

/** Throws GODWIT_MANAGER_DENIED if the daemon rejects the login or requires an unsupported mechanism. */
export async function logIn(ask: Ask, uri: string, authFile: string | undefined): Promise<void> {
  const types = await ask(PROC.list, new XdrWriter());
  const wanted = types.list(MAX_AUTH, () => types.int32());
  // Root needs no login on a unix socket with polkit.
  if (wanted.length === 0 || wanted.includes(AUTH.none)) return;
  if (wanted.includes(AUTH.polkit)) return byPolkit(ask, uri);
  if (wanted.includes(AUTH.sasl)) return bySasl(ask, uri, authFile);
  throw denied(
    uri,
    `it wants a login of the kinds ${wanted.join(', ')}, which Godwit does not know`,
  );
}

/** polkit identifies the user by the socket, so nothing is sent. */
async function byPolkit(ask: Ask, uri: string): Promise<void> {
  await orDenied(ask(PROC.polkit, new XdrWriter()), uri, 'polkit does not allow it', POLKIT);
}

async function bySasl(ask: Ask, uri: string, authFile: string | undefined): Promise<void> {
  const address = addressOf(uri);
  // libvirt requires an encrypting login there, because the password would be readable.
  if (address.kind === 'tcp') throw denied(uri, 'it wants SASL without TLS below');
  const offered = (await ask(PROC.saslInit, new XdrWriter())).string(MAX_NAMES);
  const mechanism = chosenOf(offered.split(/[ ,]+/));
  if (mechanism === undefined) {
    throw denied(
      uri,
      `it wants SASL by ${offered.slice(0, 200)}, which Godwit does not speak`,
      OTHERS,
    );
  }
  const host = address.kind === 'unix' ? 'localhost' : address.host;
  const secret = await secretFor(host, authFile);
  if (secret === undefined) {
    throw denied(uri, `it wants SASL, and ${authFile ?? 'no file'} has no user for ${host}`, FILE);
  }
  const why = `it does not take ${secret.user} of ${authFile ?? 'no file'} by ${mechanism}`;
  await orDenied(exchange(ask, mechanism, secret), uri, why, FILE);
}

type Mechanism = ScramMechanism | 'PLAIN';

function chosenOf(offered: readonly string[]): Mechanism | undefined {
  const known = [...(Object.keys(SCRAM_HASHES) as ScramMechanism[]), 'PLAIN'] as const;
  return known.find((each) => offered.includes(each));
}

async function secretFor(host: string, file: string | undefined): Promise<Secret | undefined> {
  if (file === undefined) return undefined;
  const text = await readFile(file, 'utf8').catch(() => '');
  return secretIn(text, host);
}

interface SaslReply {
  readonly isOver: boolean;
  readonly text: string;
}

async function exchange(ask: Ask, mechanism: Mechanism, secret: Secret): Promise<void> {
  const start = (text: string): Promise<SaslReply> =>
    said(ask(PROC.saslStart, withText(new XdrWriter().string(mechanism), text)));
  const step = (text?: string): Promise<SaslReply> =>
    said(ask(PROC.saslStep, withText(new XdrWriter(), text)));
  if (mechanism === 'PLAIN') {
    const { isOver } = await start(`\0${secret.user}\0${secret.password}`);
    if (!isOver) throw new ScramError('it wants more than a user and a password');
    return;
  }
  const nonce = randomBytes(NONCE_BYTES).toString('base64');
  const { text: challenge } = await start(firstMessage(secret, nonce));
  const { message, signature } = await finalMessage(mechanism, secret, { nonce, challenge });
  const last = await step(message);
  if (!isProved(last.text, signature)) throw new ScramError('it does not know the password itself');
  if (!last.isOver && !(await step()).isOver) throw new ScramError('it does not come to an end');
}

/** Absent text differs from empty text. */
function withText(body: XdrWriter, text: string | undefined): XdrWriter {
  const bytes = Buffer.from(text ?? '');
  // XDR writes each character of a char array as a word.
  return body.int32(text === undefined ? 1 : 0).uint32(bytes.length, ...bytes);
}

async function said(asked: Promise<XdrReader>): Promise<SaslReply> {
  const answer = await asked;
  const isOver = answer.int32() !== 0;
  answer.int32();
  const bytes = answer.list(MAX_DATA, () => answer.int32() & 0xff);
  const text = Buffer.from(bytes).toString('utf8');
  // libvirt's SASL may end its texts with a NUL.
  return { isOver, text: text.replaceAll('\0', '') };
}

/** Converts any refusal here to a denial with the daemon's message. */
async function orDenied(
  work: Promise<unknown>,
  uri: string,
  why: string,
  hint: string,
): Promise<void> {
  try {
    await work;
  } catch (thrown) {
    if (!(thrown instanceof LibvirtRefusal) && !(thrown instanceof ScramError)) throw thrown;
    throw denied(uri, `${why}: ${thrown.message}`, hint, thrown);
  }
}
