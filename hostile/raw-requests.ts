import { Agent, request } from 'node:https';
import { splitAddress } from '../src/protocol/names.ts';
import { clientTls, type Credentials } from '../src/rpc/tls.ts';
import type { Answer, Ask } from './cases/case.ts';

/** Requests over TLS with a certificate, written byte for byte as a case has them. */

/** Of an answer; the rest is not read. */
const MAX_BYTES = 4 * 1024 ** 2;
/** A stream is left once it has said something for so long, ms. */
const STREAM_MS = 150;

export interface Speaking {
  readonly credentials: Credentials;
  /** How long an answer is waited for, ms; then the connection is ended. */
  readonly timeoutMs: number;
}

export class Speaker {
  readonly #agents = new Map<string, Agent>();
  readonly #speaking: Speaking;

  constructor(speaking: Speaking) {
    this.#speaking = speaking;
  }

  /** Undefined: it was given up, without an answer. */
  async ask(address: string, asked: Ask): Promise<Answer | undefined> {
    const { timeoutMs } = this.#speaking;
    const { host, port } = splitAddress(address);
    const began = performance.now();
    const answered = Promise.withResolvers<Answer | undefined>();
    const settle = (status: number, body: string): void =>
      answered.resolve({ status, body, tookMs: performance.now() - began });
    const { method, path, headers, body } = asked;
    const sent = request({
      host,
      port,
      method,
      path,
      agent: this.#agent(address),
      headers: { ...(body === undefined ? {} : bodyHeaders(body)), ...headers },
    });
    const timer = setTimeout(() => {
      answered.resolve(undefined);
      sent.destroy();
    }, timeoutMs);
    sent.on('error', () => settle(0, ''));
    sent.on('response', (response) => {
      let text = '';
      const isStream = String(response.headers['content-type'] ?? '').includes('ndjson');
      const leave = isStream ? setTimeout(() => response.destroy(), STREAM_MS) : undefined;
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_BYTES) response.destroy();
      });
      response.on('error', () => {});
      response.on('close', () => {
        clearTimeout(leave);
        settle(response.statusCode ?? 0, text);
      });
    });
    sent.end(body);
    try {
      return await answered.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  #agent(address: string): Agent {
    const found = this.#agents.get(address);
    if (found !== undefined) return found;
    const made = new Agent({
      keepAlive: true,
      maxSockets: 8,
      ...clientTls(this.#speaking.credentials),
    });
    this.#agents.set(address, made);
    return made;
  }

  close(): void {
    for (const each of this.#agents.values()) each.destroy();
  }
}

function bodyHeaders(body: string): Record<string, string> {
  return {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
  };
}
