import { createHash, randomUUID } from 'node:crypto';
import { Agent, request, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { withDeadline } from '../../../deadline.ts';
import { GodwitError, godwitError } from '../../../errors.ts';
import { Mutex } from '../../../mutex.ts';
import type { XmlElement } from '../../../formats/xml.ts';
import { defined } from '../../../protocol/defined.ts';
import { bodyOf } from './answers.ts';
import { envelope, OPERATION_S, type WsmanRequest } from './envelope.ts';
import { KerberosLogin } from './kerberos/login.ts';
import { principalOf } from './kerberos/principal.ts';
import {
  accountOf,
  authenticate,
  freshMoment,
  negotiate,
  parseChallenge,
  type NtlmAccount,
} from './ntlm.ts';
import { denied, noKerberos, noNtlm, unreachable, untrusted } from './refusals.ts';
import { formatBytes } from '../../../protocol/quantity.ts';

/** Above the largest requested answer, bytes. */
const MAX_ANSWER = 4 * 1024 ** 2;
/** Offered mechanisms that support Kerberos. */
const KERBEROS = /\b(?:Negotiate|Kerberos)\b/i;
/** Server's time for an answer plus the network's, ms. */
const CALL_MS = (OPERATION_S + 10) * 1000;
const CONNECT_MS = 10_000;
const WSMAN_TYPE = 'application/soap+xml;charset=UTF-8';

export interface WinrmTarget {
  /** https://HOST:5986/wsman */
  readonly url: string;
  readonly auth: 'ntlm' | 'kerberos' | 'basic';
  readonly user: string;
  /** Read on use and never stored. Throws GODWIT_CONFIG if it cannot be read. */
  readonly password: () => Promise<string>;
  /** SHA-256 of its certificate, 64 hex digits; absent: a CA must have signed it. */
  readonly fingerprint?: string | undefined;
  /** PEM; absent: Node's CAs. */
  readonly ca?: string | undefined;
}

interface HttpAnswer {
  readonly status: number;
  readonly text: string;
  readonly authenticate: string;
  readonly socket: TLSSocket;
}

/**
 * Connection to a WinRM, one request at a time. It opens on use, and again if it broke between two requests; no
 * request is sent twice. Rejects with WsmanFault (the server's message), GODWIT_UNREACHABLE, GODWIT_DEADLINE,
 * GODWIT_PEER_UNTRUSTED or GODWIT_MANAGER_DENIED.
 */
export class WinrmConnection {
  readonly #target: WinrmTarget;
  readonly #url: URL;
  readonly #agent: Agent;
  readonly #turns = new Mutex();
  /** Socket that the server has authenticated. */
  #known: TLSSocket | undefined;
  /** Channel binding by socket: the certificate is unreadable after the server closes the socket. */
  readonly #shown = new WeakMap<Socket, Buffer>();

  constructor(target: WinrmTarget) {
    this.#target = target;
    this.#url = new URL(target.url);
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1, scheduling: 'lifo' });
    this.#agent.createConnection = (_options, done) => this.#connect(done);
  }

  call(asked: WsmanRequest, signal: AbortSignal): Promise<XmlElement> {
    const what = `an answer of ${this.#url.host}`;
    return this.#turns.run(() =>
      withDeadline(what, CALL_MS, signal, (inner) => this.#call(asked, inner)),
    );
  }

  close(): void {
    this.#agent.destroy();
    this.#known = undefined;
  }

  async #call(asked: WsmanRequest, signal: AbortSignal): Promise<XmlElement> {
    const text = envelope(asked, this.#target.url, randomUUID().toUpperCase());
    const { status, text: answer } = await this.#authorised(Buffer.from(text), signal);
    if (status === 401) {
      throw denied(this.#url.host, this.#target.user);
    }
    if (status !== 200 && status !== 500 && status !== 400) {
      throw this.#refused(`it answers with HTTP ${status}`);
    }
    const body = bodyOf(answer);
    if (body !== undefined && status === 200) return body;
    throw this.#refused(`what it answers is not WS-Management (HTTP ${status})`);
  }

  async #authorised(body: Buffer, signal: AbortSignal): Promise<HttpAnswer> {
    const { user, auth, password } = this.#target;
    if (auth === 'basic') {
      const words = Buffer.from(`${user}:${await password()}`).toString('base64');
      return this.#send(body, `Basic ${words}`, signal);
    }
    if (this.#known !== undefined && !this.#known.destroyed) {
      const answer = await this.#send(body, undefined, signal);
      // A server that has lost the authentication has not processed the request.
      if (answer.status !== 401) return answer;
    }
    const secret = await password();
    return auth === 'kerberos'
      ? this.#byKerberos(secret, body, signal)
      : this.#byNtlm(accountOf(user, secret), body, signal);
  }

  /** First sends a request without credentials, because the login is bound to the certificate of that connection. */
  async #byKerberos(password: string, body: Buffer, signal: AbortSignal): Promise<HttpAnswer> {
    this.#known = undefined;
    const asked = await this.#send(Buffer.alloc(0), undefined, signal);
    const { host, hostname } = this.#url;
    const user = principalOf(this.#target.user);
    if (asked.status !== 401 || !KERBEROS.test(asked.authenticate) || user === undefined) {
      throw noKerberos(host, this.#target.user, asked.status, asked.authenticate);
    }
    const place = { user, service: `HTTP/${hostname}`, address: host };
    const hash = this.#shownOn(asked.socket);
    const login = new KerberosLogin(place, password, hash, signal);
    try {
      const authorization = `Negotiate ${await login.token()}`;
      const isBound = (socket: Socket): boolean => this.#shown.get(socket)?.equals(hash) === true;
      const answer = await this.#send(body, authorization, signal, isBound);
      const proof = /Negotiate +([A-Za-z0-9+/=]+)/.exec(answer.authenticate)?.[1] ?? '';
      await login.prove(proof).catch((thrown: unknown) => {
        // The request may have been executed, so this is not a refusal.
        if (answer.status === 401) throw thrown;
        throw this.#refused(
          'it has answered without proof that it is the host of its name',
          thrown,
        );
      });
      this.#known = answer.socket;
      return answer;
    } finally {
      login.end();
    }
  }

  async #byNtlm(account: NtlmAccount, body: Buffer, signal: AbortSignal): Promise<HttpAnswer> {
    this.#known = undefined;
    const first = `Negotiate ${negotiate().toString('base64')}`;
    const asked = await this.#send(Buffer.alloc(0), first, signal);
    const word = /(?:Negotiate|NTLM) +([A-Za-z0-9+/=]+)/.exec(asked.authenticate)?.[1] ?? '';
    const challenge = parseChallenge(Buffer.from(word, 'base64'));
    if (asked.status === 401 && word === '' && KERBEROS.test(asked.authenticate)) {
      throw noNtlm(this.#url.host, this.#target.user, asked.authenticate);
    }
    if (asked.status !== 401 || challenge === undefined) {
      throw this.#refused(
        `it does not offer NTLM (HTTP ${asked.status}, ${asked.authenticate.slice(0, 200) || 'nothing offered'})`,
      );
    }
    const hash = this.#shownOn(asked.socket);
    const proof = authenticate(account, challenge, hash, freshMoment(Date.now()));
    const authorization = `Negotiate ${proof.toString('base64')}`;
    const answer = await this.#send(
      body,
      authorization,
      signal,
      (socket) => socket === asked.socket,
    );
    if (answer.status !== 401) this.#known = answer.socket;
    return answer;
  }

  #shownOn(socket: Socket): Buffer {
    const hash = this.#shown.get(socket);
    if (hash === undefined) throw this.#refused('a login could not be bound to its certificate');
    return hash;
  }

  /** `isRight`: whether the request may use that connection; otherwise nothing is sent. */
  async #send(
    body: Buffer,
    authorization: string | undefined,
    signal: AbortSignal,
    isRight: (socket: Socket) => boolean = () => true,
  ): Promise<HttpAnswer> {
    const { hostname, port, pathname } = this.#url;
    const asked = request({
      agent: this.#agent,
      host: hostname.replace(/^\[|\]$/g, ''),
      port: port === '' ? 443 : Number(port),
      path: pathname,
      method: 'POST',
      signal,
      headers: {
        'content-type': WSMAN_TYPE,
        'content-length': body.length,
        ...defined({ authorization }),
      },
    });
    asked.once('socket', (socket) => {
      if (!isRight(socket)) asked.destroy(new Error('it closed the connection meanwhile'));
    });
    try {
      return await exchange(asked, body);
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown instanceof GodwitError ? thrown : this.#refused(wordsOf(thrown), thrown);
    }
  }

  #connect(done: ((error: Error | null, socket: TLSSocket) => void) | undefined): undefined {
    const { fingerprint, ca } = this.#target;
    const { hostname, port } = this.#url;
    const host = hostname.replace(/^\[|\]$/g, '');
    const socket = connect({
      host,
      port: port === '' ? 443 : Number(port),
      servername: /^[\d.]+$|:/.test(host) ? '' : host,
      minVersion: 'TLSv1.2',
      // A pinned certificate is compared below, before a byte is sent.
      rejectUnauthorized: fingerprint === undefined,
      ...defined({ ca }),
    });
    const timer = setTimeout(() => socket.destroy(new Error('no answer')), CONNECT_MS);
    const end = (error: Error | null): void => {
      clearTimeout(timer);
      socket.removeAllListeners('secureConnect').off('error', end);
      const hash = error === null ? certificateHash(socket) : undefined;
      if (hash !== undefined) this.#shown.set(socket, hash);
      done?.(error === null ? null : untrusted(this.#url.host, error), socket);
    };
    socket.once('error', end).once('secureConnect', () => {
      const shown = socket.getPeerX509Certificate()?.fingerprint256.replaceAll(':', '') ?? '';
      if (fingerprint === undefined || shown.toLowerCase() === fingerprint) {
        end(null);
        return;
      }
      socket.destroy();
      end(new Error(`its certificate has the SHA-256 ${shown.toLowerCase()}, not ${fingerprint}`));
    });
    return undefined;
  }

  #refused(reason: string, cause?: unknown): GodwitError {
    return unreachable(this.#url.host, reason, cause);
  }
}

function exchange(asked: ClientRequest, body: Buffer): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  asked.once('error', reject).once('response', (answer) => {
    // The response releases its socket after it is read.
    const socket = answer.socket as TLSSocket;
    readAll(answer).then((text) => {
      resolve({
        status: answer.statusCode ?? 0,
        text,
        authenticate: answer.headers['www-authenticate'] ?? '',
        socket,
      });
    }, reject);
  });
  asked.end(body);
  return promise;
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_ANSWER) {
      throw godwitError('GODWIT_TOO_LARGE', {
        what: 'an answer of WinRM',
        limit: formatBytes(MAX_ANSWER),
      });
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

/** RFC 5929: certificate hash with its signature's hash function, or SHA-256 for older ones. */
function certificateHash(socket: TLSSocket): Buffer | undefined {
  const shown = socket.getPeerX509Certificate();
  if (shown === undefined) return undefined;
  const longer = /sha(384|512)/i.exec(shown.signatureAlgorithm ?? '')?.[1];
  return createHash(`sha${longer ?? '256'}`)
    .update(shown.raw)
    .digest();
}

function wordsOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : 'the connection broke';
}
