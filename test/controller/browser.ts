import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import https from 'node:https';
import path from 'node:path';
import type { TestContext } from 'node:test';

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it is, in the place of a body. */
  readonly raw?: string;
}

export interface Got {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** Of JSON; undefined where it is something else. */
  readonly json: unknown;
}

/** Asks a web listener as a browser or a program does: knowing the CA, and with nothing of its own to show. */
export class Browser {
  readonly address: string;
  readonly #agent: https.Agent;

  constructor(t: TestContext, address: string, caDir: string) {
    this.address = address;
    const ca = readFileSync(path.join(caDir, 'ca.crt'));
    this.#agent = new https.Agent({ ca, keepAlive: true, maxSockets: 64 });
    t.after(() => this.#agent.destroy());
  }

  /** The origin of its pages. */
  get origin(): string {
    return `https://${this.address}`;
  }

  ask(
    place: string,
    { method = 'GET', headers = {}, body, raw }: RequestOptions = {},
  ): Promise<Got> {
    const text = raw ?? (body === undefined ? undefined : JSON.stringify(body));
    const [host, port] = this.address.split(':');
    const type = text === undefined ? {} : { 'content-type': 'application/json' };
    const length = text === undefined ? {} : { 'content-length': Buffer.byteLength(text) };
    return new Promise((resolve, reject) => {
      const request = https.request(
        {
          host,
          port,
          path: place,
          method,
          headers: { ...type, ...length, ...headers },
          agent: this.#agent,
        },
        (response) => {
          const chunks: Buffer[] = [];
          // A stream has no end to wait for.
          if (response.headers['content-type'] === 'text/event-stream') {
            const { statusCode: status = 0, headers: reported } = response;
            request.destroy();
            return resolve({ status, headers: reported, bytes: Buffer.alloc(0), json: undefined });
          }
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', reject);
          response.on('end', () => {
            const bytes = Buffer.concat(chunks);
            const { statusCode: status = 0 } = response;
            resolve({ status, headers: response.headers, bytes, json: jsonIn(bytes) });
          });
        },
      );
      request.on('error', reject);
      request.end(text);
    });
  }

  /** The cookie of a session, by a token. */
  async signIn(token: string): Promise<string> {
    const { headers, status } = await this.ask('/v1/session', { method: 'POST', body: { token } });
    if (status !== 200) throw new Error(`signing in was answered with ${status}`);
    return headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  }
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
