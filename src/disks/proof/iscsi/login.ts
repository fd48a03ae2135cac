import { randomBytes, createHash } from 'node:crypto';
import { readPassword } from '../../../system/files/password-file.ts';
import { parseIscsi, type IscsiPlace } from '../../../protocol/iscsi-url.ts';
import type { IscsiConnection } from './connection.ts';
import * as pdus from './pdu.ts';

/** Default name of QEMU's client. */
const DEFAULT_INITIATOR = 'iqn.2008-11.org.linux-kvm';

const MAX_LOGIN_STEPS = 8;

const SECURITY = 0;
const OPERATIONAL = 1;
const FULL = 3;

const SETTINGS = {
  HeaderDigest: 'None',
  DataDigest: 'None',
  InitialR2T: 'Yes',
  ImmediateData: 'No',
  MaxRecvDataSegmentLength: String(pdus.MAX_SEGMENT_BYTES),
  MaxBurstLength: '262144',
  FirstBurstLength: '65536',
  MaxConnections: '1',
  MaxOutstandingR2T: '1',
  DefaultTime2Wait: '2',
  DefaultTime2Retain: '0',
  ErrorRecoveryLevel: '0',
  DataPDUInOrder: 'Yes',
  DataSequenceInOrder: 'Yes',
};

/** Undefined after success; otherwise the portal to use instead. The target is not authenticated. */
export async function login(
  connection: IscsiConnection,
  place: IscsiPlace,
): Promise<IscsiPlace | undefined> {
  // Random (10b), because a session with the same name and number would end QEMU's.
  const session = randomBytes(6).fill(0x80, 0, 1);
  const tag = connection.nextTag();
  const send = (stage: number, next: number | undefined, keys: Keys): void => {
    const flags = next === undefined ? stage << 2 : pdus.GO_ON | (stage << 2) | next;
    const header = pdus.headerOf(pdus.OPCODES.login | pdus.IMMEDIATE, flags, tag);
    session.copy(header, 8);
    header.writeUInt32BE(1, 24);
    header.writeUInt32BE(connection.expected, 28);
    connection.send(pdus.encode(header, pdus.encodeKeys(keys)));
  };
  const own = await ownLogin(place);
  let stage = SECURITY;
  let said: LoginMessage = {
    keys: {
      InitiatorName: place.initiator ?? DEFAULT_INITIATOR,
      TargetName: place.target,
      SessionType: 'Normal',
      AuthMethod: own === undefined ? 'None' : 'CHAP,None',
    },
    isLast: own === undefined,
  };
  for (let step = 0; step < MAX_LOGIN_STEPS; step++) {
    const next = stage === SECURITY ? OPERATIONAL : FULL;
    send(stage, said.isLast ? next : undefined, said.keys);
    const answer = await connection.next();
    if (pdus.opcodeOf(answer) !== pdus.OPCODES.loginResponse) throw new Error('it speaks no iSCSI');
    const status = answer.header.readUInt16BE(36);
    const keys = pdus.decodeKeys(answer.data);
    if (status >> 8 === 1) return elsewhere(place, keys);
    if (status !== 0) throw new Error(pdus.loginProblem(status));
    const flags = answer.header.readUInt8(1);
    if ((flags & pdus.GO_ON) === 0) {
      said = stage === SECURITY ? answerTo(keys, own) : { keys: {}, isLast: true };
      continue;
    }
    if ((flags & 0x03) === FULL) return undefined;
    stage = flags & 0x03;
    said = { keys: stage === OPERATIONAL ? SETTINGS : {}, isLast: true };
  }
  throw new Error(`its login takes more than ${MAX_LOGIN_STEPS} steps`);
}

type Keys = Readonly<Record<string, string>>;

interface LoginMessage {
  readonly keys: Keys;
  readonly isLast: boolean;
}

/** Read on demand, so that changes of the file take effect. */
async function ownLogin({ user, passwordFile }: IscsiPlace): Promise<Login | undefined> {
  if (user === undefined || passwordFile === undefined) return undefined;
  return { user, password: await readPassword(passwordFile) };
}

function answerTo(keys: ReadonlyMap<string, string>, own: Login | undefined): LoginMessage {
  if (own !== undefined && keys.has('CHAP_C')) return { keys: chapAnswer(own, keys), isLast: true };
  if (keys.get('AuthMethod') !== 'CHAP') return { keys: {}, isLast: true };
  if (own === undefined) throw new Error(pdus.loginProblem(pdus.WANTS_LOGIN));
  return { keys: { CHAP_A: CHAP_ALGORITHMS }, isLast: false };
}

function elsewhere(place: IscsiPlace, keys: ReadonlyMap<string, string>): IscsiPlace {
  const [address = ''] = (keys.get('TargetAddress') ?? '').split(',');
  const found = parseIscsi(`iscsi://${address}/${place.target}/${place.lun}`);
  if (found === undefined) throw new Error('it is said to be elsewhere, and not where');
  return { ...place, host: found.host, port: found.port };
}

/** Answers a CHAP challenge (RFC 1994, in iSCSI RFC 7143). Pure. */

/**
 * iSCSI numbers in the order of the offer. MD5 is first, because every target agrees on 5, and tgt uses 7 for SHA-1.
 * CHAP only authenticates the reader, on a network that is trusted with the disks.
 */
const HASHES: Readonly<Record<string, string>> = { '7': 'sha256', '6': 'sha1', '5': 'md5' };
const CHAP_ALGORITHMS = ['5', '6', '7'].join(',');
const MAX_CHALLENGE_BYTES = 1024;

interface Login {
  readonly user: string;
  readonly password: string;
}

/** Keys that answer a challenge. Throws if it was not offered. */
function chapAnswer(
  { user, password }: Login,
  asked: ReadonlyMap<string, string>,
): { readonly CHAP_N: string; readonly CHAP_R: string } {
  const hash = HASHES[asked.get('CHAP_A') ?? ''];
  if (hash === undefined)
    throw new Error('it chose an algorithm for its login (CHAP_A) that was not offered');
  const id = Number(asked.get('CHAP_I') ?? Number.NaN);
  const challenge = bytesOf(asked.get('CHAP_C') ?? '');
  if (!Number.isInteger(id) || id < 0 || id > 255 || challenge === undefined) {
    throw new Error('its challenge for the login (CHAP_I, CHAP_C) is malformed');
  }
  const response = createHash(hash)
    .update(Buffer.from([id]))
    .update(password)
    .update(challenge)
    .digest('hex');
  return { CHAP_N: user, CHAP_R: `0x${response}` };
}

/** Decodes iSCSI's hexadecimal or base64 values. */
function bytesOf(text: string): Buffer | undefined {
  const [, hex] = /^0[xX]((?:[0-9a-fA-F]{2})+)$/.exec(text) ?? [];
  const [, base] = /^0[bB]([A-Za-z0-9+/]+=*)$/.exec(text) ?? [];
  const found = hex === undefined ? Buffer.from(base ?? '', 'base64') : Buffer.from(hex, 'hex');
  return found.length > 0 && found.length <= MAX_CHALLENGE_BYTES ? found : undefined;
}
