import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { systemClock } from '../clock.ts';
import { withDeadline } from '../deadline.ts';
import { godwitError, toGodwitError } from '../errors.ts';
import { checkList } from '../host/fleet.ts';
import { agentContract } from '../protocol/contract.ts';
import { defined } from '../protocol/defined.ts';
import { splitAddress } from '../protocol/names.ts';
import { SKEW_MS } from '../protocol/peer/renewal.ts';
import { client } from '../rpc/client.ts';
import { fingerprintOf } from '../rpc/trust-bundle.ts';
import { storeCredentials } from './authority.ts';
import { ownIdentity } from './own-identity.ts';
import { parseToken, type JoinToken } from './token.ts';

const CONNECT_MS = 10_000;

export interface JoinResult {
  readonly name: string;
  readonly fingerprint: string;
  /** host:port at which the fleet's list has this host; undefined where the token named no address. */
  readonly address: string | undefined;
  /** How far the clock of the CA's host is before this one's, ms, within the time that the call took. */
  readonly clockAheadMs: number;
}

/**
 * Makes a key for this host and has it signed by the CA that the token names. Writes ca.crt, host.crt and host.key into
 * `directory`, for a controller controller.crt and controller.key. The key does not leave this host.
 * GODWIT_PEER_UNTRUSTED if the answer is not of that CA, GODWIT_PKI if the directory holds a certificate already;
 * GODWIT_JOIN_TOKEN, GODWIT_UNREACHABLE.
 */
export async function join(
  text: string,
  directory: string,
  role: 'agent' | 'controller' = 'agent',
): Promise<JoinResult> {
  const token = parseToken(text);
  const { name, address, fingerprint } = token;
  const stem = role === 'agent' ? 'host' : role;
  if (existsSync(path.join(directory, `${stem}.crt`))) {
    const hint = 'Move the files away first, or name another directory.';
    throw godwitError('GODWIT_PKI', { what: `${directory} holds a certificate already` }, { hint });
  }
  const ca = await pinnedCa(token);
  const { makeRequest } = await import('./x509.ts');
  const { request, key } = await makeRequest(name);
  let joined: Pick<JoinResult, 'address' | 'clockAheadMs'>;
  const { api, close } = client(agentContract, {
    address,
    credentials: { ca },
    expectedName: undefined,
  });
  try {
    const answer = await api.join({ body: { token: text.trim(), request } });
    checkAnswer(answer, key, token);
    checkRole(answer.certificate, role);
    const { certificate: cert, siteSecret, fleet } = answer;
    // Further CAs count only if the pinned one has signed for them: any host of the fleet could have answered.
    const list = fleet === undefined ? undefined : checkList(fleet, ca).list;
    joined = {
      address: list?.members.find((member) => member.name === name)?.address,
      clockAheadMs:
        Date.parse(new X509Certificate(cert).validFrom) + SKEW_MS - systemClock.wallMs(),
    };
    const shared = {
      ...defined({ siteSecret, fleet }),
    };
    const trusted = list?.authorities?.join('\n') ?? ca;
    storeCredentials(directory, { ca: trusted, cert, key, ...shared }, stem);
  } finally {
    close();
  }
  return { name, fingerprint, ...joined };
}

/** The certificate of the CA, as the other side sends it, once its fingerprint is the token's. Nothing else is sent. */
async function pinnedCa(token: JoinToken): Promise<string> {
  const { host, port } = splitAddress(token.address);
  const peer = `the agent at ${token.address}`;
  const socket = connect({ host, port, minVersion: 'TLSv1.3', rejectUnauthorized: false });
  try {
    await withDeadline(`to connect to ${token.address}`, CONNECT_MS, undefined, (inner) =>
      once(socket, 'secureConnect', { signal: inner }),
    );
    const ca = issuerOf(socket);
    if (ca === undefined || fingerprintOf(ca.raw) !== token.fingerprint) {
      const reason = 'its CA is not the one that the token names';
      const hint =
        'Make another token with `godwit invite`: a token names the CA that issued when it was made, and a rotation of the CA ends it.';
      throw godwitError('GODWIT_PEER_UNTRUSTED', { peer, reason }, { hint });
    }
    return ca.toString();
  } catch (thrown) {
    const error = toGodwitError(thrown);
    if (error.code !== 'GODWIT_INTERNAL') throw error;
    const facts = { peer, address: token.address, reason: error.message };
    throw godwitError('GODWIT_UNREACHABLE', facts, { cause: thrown });
  } finally {
    socket.on('error', () => {}).destroy();
  }
}

function issuerOf(socket: TLSSocket): X509Certificate | undefined {
  const raw = (socket.getPeerCertificate(true) as { issuerCertificate?: { raw?: Buffer } })
    .issuerCertificate?.raw;
  return raw === undefined ? undefined : new X509Certificate(raw);
}

/** Only the certificate shows the role: a token does not carry it. */
function checkRole(certificate: string, expected: 'agent' | 'controller'): void {
  const { role } = ownIdentity('the certificate that came', certificate);
  if (role === expected) return;
  const reason = `it was made for the role ${role}, and this is the role ${expected}`;
  const hint =
    'Make another one: `godwit invite NAME` goes with `godwit join`, `godwit invite NAME --controller` with `godwit init --controller`.';
  throw godwitError('GODWIT_JOIN_TOKEN', { reason }, { hint });
}

/** What came back must be of the pinned CA and for our own key, or it would lock this host out later. */
function checkAnswer(
  answer: { readonly certificate: string; readonly ca: string },
  key: string,
  { name, fingerprint }: JoinToken,
): void {
  const wrong = (what: string, cause?: unknown): Error => {
    const facts = { peer: 'the CA', expected: `a certificate for ${name}`, what };
    return godwitError('GODWIT_PROTOCOL_INVALID', facts, { cause });
  };
  let cert: X509Certificate;
  let ca: X509Certificate;
  try {
    cert = new X509Certificate(answer.certificate);
    ca = new X509Certificate(answer.ca);
  } catch (cause) {
    throw wrong('it cannot be read', cause);
  }
  if (fingerprintOf(ca.raw) !== fingerprint) throw wrong('it comes with another CA');
  if (!cert.checkPrivateKey(createPrivateKey(key))) throw wrong('it is for another key');
  if (!cert.verify(ca.publicKey)) throw wrong('it is not signed by the CA');
}
