import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { connect, type TLSSocket } from 'node:tls';
import { withDeadline } from '../../deadline.ts';
import { godwitError, type GodwitError } from '../../errors.ts';
import { defined } from '../../protocol/defined.ts';
import { SECTION, type Vcenter } from './options.ts';
import { LONGEST_ANSWER } from './soap.ts';

const CONNECT_MS = 10_000;
/** Time until an idle connection is closed, ms. */
const IDLE_MS = 60_000;

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface ShownCertificate {
  /** SHA-256, hex. */
  readonly fingerprint: string;
  /** SHA-1 in vSphere's form: AB:CD. */
  readonly thumbprint: string;
  readonly validToMs: number;
}

/** `reads`: no changes. `waitsMs`: its wait for a change. */
export interface CallKind {
  readonly method: string;
  readonly waitsMs: number;
  readonly reads: boolean;
}

export interface TransportOptions extends Pick<
  Vcenter,
  'url' | 'fingerprint' | 'ca' | 'connections'
> {
  /** Configuration section, for hints. */
  readonly section?: string;
}

/**
 * HTTPS to one vCenter, with the session's cookie. Nothing is sent before the certificate was checked against
 * the fingerprint or by a CA.
 */
export class Transport {
  readonly #options: TransportOptions;
  readonly #calls: Agent;
  /** Calls that wait for a change have a separate agent, so that they do not delay others. */
  readonly #waits: Agent;
  readonly #callMs: number | undefined;
  #cookie: string | undefined;
  certificate: ShownCertificate | undefined;

  private constructor(
    options: TransportOptions,
    ca: string | undefined,
    callMs: number | undefined,
  ) {
    this.#options = options;
    this.#callMs = callMs;
    this.#calls = this.#connections(options.connections, ca);
    this.#waits = this.#connections(1, ca);
  }

  #connections(maxSockets: number, ca: string | undefined): Agent {
    const agent = new Agent({ keepAlive: true, maxSockets, timeout: IDLE_MS });
    const { url, fingerprint } = this.#options;
    const { hostname, port } = new URL(url);
    agent.createConnection = (_, done) => {
      const place = { host: hostname, port: Number(port || 443), fingerprint };
      void handOver(secured(place, ca), done, (shown) => {
        this.certificate = shown;
      });
      return undefined;
    };
    return agent;
  }

  /** Throws GODWIT_CONFIG if the CA cannot be read. */
  static async open(options: TransportOptions, callMs?: number): Promise<Transport> {
    const { ca: file, section = SECTION } = options;
    if (file === undefined) return new Transport(options, undefined, callMs);
    try {
      return new Transport(options, await readFile(file, 'utf8'), callMs);
    } catch (cause) {
      const what = `${section}.ca: ${file} cannot be read`;
      throw godwitError('GODWIT_CONFIG', { file, what }, { cause });
    }
  }

  /**
   * Posts one call and returns the answer. Throws GODWIT_UNREACHABLE without a complete answer. A waiting call
   * uses a separate connection. A read-only call is repeated once if a kept-alive connection ended, because the
   * vCenter may close these at any time.
   */
  post(
    body: string,
    { method, waitsMs, reads }: CallKind,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    const agent = waitsMs > 0 ? this.#waits : this.#calls;
    const sent = (within: AbortSignal): Promise<HttpAnswer> =>
      this.#sent(() => this.#exchange(body, within, agent), reads, within);
    if (this.#callMs === undefined) return sent(signal);
    const what = `the vCenter's answer to ${method}`;
    return withDeadline(what, this.#callMs + waitsMs, signal, sent);
  }

  async #sent(
    send: () => Promise<HttpAnswer>,
    isRepeatable: boolean,
    signal: AbortSignal,
  ): Promise<HttpAnswer> {
    try {
      return await send().catch((thrown: unknown) => {
        if (!isRepeatable || !(thrown instanceof ClosedMeanwhile)) throw thrown;
        return send();
      });
    } catch (cause) {
      signal.throwIfAborted();
      throw cause instanceof Error ? this.unreachable(cause.message, cause) : cause;
    }
  }

  #exchange(body: string, signal: AbortSignal, agent: Agent): Promise<HttpAnswer> {
    const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
    const headers = {
      'content-type': 'text/xml; charset=utf-8',
      'content-length': Buffer.byteLength(body),
      soapaction: '"urn:vim25/6.5"',
      ...defined({ cookie: this.#cookie }),
    };
    const options = { method: 'POST', agent, headers, signal };
    const asked = request(new URL('/sdk', this.#options.url), options, (answer) => {
      this.#keepCookie(answer);
      readAll(answer).then(
        (text) => resolve({ status: answer.statusCode ?? 0, body: text }),
        reject,
      );
    });
    asked.once('error', (thrown) => {
      const isKept = asked.reusedSocket && codeOf(thrown) === 'ECONNRESET';
      reject(isKept ? new ClosedMeanwhile(thrown.message, { cause: thrown }) : thrown);
    });
    asked.end(body);
    return promise;
  }

  #keepCookie({ headers }: IncomingMessage): void {
    const found = headers['set-cookie']?.find((each) => each.startsWith('vmware_soap_session='));
    if (found !== undefined) this.#cookie = found.split(';', 1)[0];
  }

  forgetSession(): void {
    this.#cookie = undefined;
  }

  unreachable(reason: string, cause?: unknown): GodwitError {
    const { url, section = SECTION } = this.#options;
    const { host } = new URL(url);
    const hint = hintOf(cause).replaceAll(`${SECTION}.`, `${section}.`);
    const facts = { peer: 'the vCenter', address: host, reason: reason.slice(0, 512) };
    return godwitError('GODWIT_UNREACHABLE', facts, { hint, cause });
  }

  close(): void {
    this.#calls.destroy();
    this.#waits.destroy();
  }
}

type ConnectCallback = NonNullable<Parameters<Agent['createConnection']>[1]>;

/** The agent requires a connection that is ready for writing. */
async function handOver(
  connecting: Promise<TLSSocket>,
  done: ConnectCallback | undefined,
  show: (certificate: ShownCertificate) => void,
): Promise<void> {
  let socket: TLSSocket;
  try {
    socket = await connecting;
  } catch (thrown) {
    done?.(thrown as Error, undefined as never);
    return;
  }
  const { valid_to: validTo, fingerprint: thumbprint } = socket.getPeerCertificate();
  const validToMs = Date.parse(validTo);
  show({ fingerprint: fingerprintOf(socket), thumbprint, validToMs });
  done?.(null, socket);
}

class WrongCertificate extends Error {}

/** A kept-alive connection ended without any answer to this call. */
class ClosedMeanwhile extends Error {}

const CERTIFICATE_HINTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED:
    'Renew the certificate on the vCenter; until then, compare it there and set drivers.vsphere.fingerprint.',
  CERT_NOT_YET_VALID: 'Have the vCenter and this host take their time from one source (NTP).',
  ERR_TLS_CERT_ALTNAME_INVALID:
    'Write a name of the certificate into drivers.vsphere.url, or set drivers.vsphere.fingerprint.',
};

function hintOf(cause: unknown): string {
  if (cause instanceof WrongCertificate)
    return 'If the certificate was exchanged on purpose, look at the new one on the vCenter itself and set drivers.vsphere.fingerprint.';
  const known = CERTIFICATE_HINTS[codeOf(cause)];
  if (known !== undefined) return known;
  if (isAboutCertificate(cause))
    return 'Name its CA in drivers.vsphere.ca, or compare its certificate on the vCenter itself and set drivers.vsphere.fingerprint.';
  return 'Check that the vCenter is up and that this host reaches its HTTPS port.';
}

/** The vCenter was reached, but its certificate was not accepted. */
export function isAboutCertificate(cause: unknown): boolean {
  if (cause instanceof WrongCertificate) return true;
  return /CERT|SIGNATURE|_CRL|INVALID_CA|INVALID_PURPOSE/.test(codeOf(cause));
}

function codeOf(cause: unknown): string {
  return (cause instanceof Error ? (cause as NodeJS.ErrnoException).code : undefined) ?? '';
}

function fingerprintOf(socket: TLSSocket): string {
  return socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
}

interface Place {
  readonly host: string;
  readonly port: number;
  readonly fingerprint?: string | undefined;
}

/** Connection with the pinned certificate, or one that a CA signed. */
function secured({ host, port, fingerprint }: Place, ca: string | undefined): Promise<TLSSocket> {
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>();
  const name = host.replace(/^\[|\]$/g, '');
  const socket = connect({
    host: name,
    port,
    ...(/^[\d.]+$|:/.test(name) ? {} : { servername: name }),
    ALPNProtocols: ['http/1.1'],
    minVersion: 'TLSv1.2',
    // A pin is stronger than any CA.
    rejectUnauthorized: fingerprint === undefined,
    ...defined({ ca }),
  });
  const fail = (thrown: Error): void => {
    socket.destroy();
    reject(thrown);
  };
  const timer = setTimeout(
    () => fail(new Error(`no TLS within ${CONNECT_MS / 1000} s`)),
    CONNECT_MS,
  );
  socket.once('error', fail);
  socket.once('close', () => {
    clearTimeout(timer);
    fail(new Error('the connection was closed'));
  });
  socket.once('secureConnect', () => {
    clearTimeout(timer);
    const own = fingerprintOf(socket);
    if (fingerprint !== undefined && own !== fingerprint) {
      fail(new WrongCertificate(`its certificate is not the one that was pinned, but ${own}`));
      return;
    }
    socket.removeListener('error', fail);
    resolve(socket);
  });
  return promise;
}

async function readAll(answer: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of answer as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > LONGEST_ANSWER) {
      answer.destroy();
      throw new Error(`its answer is longer than ${LONGEST_ANSWER} bytes`);
    }
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}
