import { readFileSync } from 'node:fs';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import path from 'node:path';

export interface PageResponse {
  /** Where it came from in the end. */
  readonly url: string;
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

const MAX_HOPS = 10;

/** A person with a browser that keeps cookies and follows redirects, by a CA. */
export class Person {
  readonly #ca: string;
  /** origin → host:port, where a name is to lead elsewhere than it says. */
  readonly #places: Readonly<Record<string, string>>;
  readonly #cookies = new Map<string, Map<string, string>>();

  constructor(caDir: string, places: Readonly<Record<string, string>>) {
    this.#ca = readFileSync(path.join(caDir, 'ca.crt'), 'utf8');
    this.#places = places;
  }

  /** The value of a cookie; undefined where there is none. */
  cookie(origin: string, name: string): string | undefined {
    return this.#cookies.get(origin)?.get(name);
  }

  /** Puts a cookie there that came from nowhere. */
  plant(origin: string, name: string, value: string): void {
    const known = this.#cookies.get(origin) ?? new Map<string, string>();
    this.#cookies.set(origin, known.set(name, value));
  }

  /** One request; a redirect is shown, not followed. `form` is posted. */
  async ask(url: string, form?: Readonly<Record<string, string>>): Promise<PageResponse> {
    const { origin, pathname, search, host } = new URL(url);
    const [address = '', port = '443'] = (this.#places[origin] ?? host).split(':');
    const cookie = [...(this.#cookies.get(origin) ?? [])].map((pair) => pair.join('=')).join('; ');
    const body = form === undefined ? '' : new URLSearchParams(form).toString();
    const typed = form === undefined ? {} : { 'content-type': 'application/x-www-form-urlencoded' };
    const shown = await new Promise<PageResponse>((resolve, reject) => {
      const asked = request(
        {
          host: address,
          port,
          path: pathname + search,
          method: form === undefined ? 'GET' : 'POST',
          headers: { host, cookie, ...typed, 'content-length': Buffer.byteLength(body) },
          ca: this.#ca,
          servername: '',
          checkServerIdentity: () => undefined,
          agent: false,
        },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => (text += chunk));
          response.on('error', reject);
          response.on('end', () => {
            const { statusCode: status = 0, headers } = response;
            resolve({ url, status, headers, text });
          });
        },
      );
      asked.on('error', reject);
      asked.end(body);
    });
    for (const set of shown.headers['set-cookie'] ?? []) this.#keep(origin, set);
    return shown;
  }

  /** As `ask`, and on to where it leads, until `until` says that this redirect is not followed. */
  async go(
    url: string,
    form?: Readonly<Record<string, string>>,
    until: (to: string) => boolean = () => false,
  ): Promise<PageResponse> {
    let shown = await this.ask(url, form);
    for (let hops = 0; hops < MAX_HOPS; hops += 1) {
      const { location } = shown.headers;
      if (location === undefined) return shown;
      const to = new URL(location, shown.url).href;
      if (until(to)) return shown;
      shown = await this.ask(to);
    }
    throw new Error(`more than ${MAX_HOPS} redirects from ${url}`);
  }

  #keep(origin: string, set: string): void {
    const [pair = ''] = set.split(';', 1);
    const [name = '', value = ''] = pair.split('=', 2);
    const isGone = value === '' || /max-age=0|expires=thu, 01 jan 1970/i.test(set);
    if (isGone) this.#cookies.get(origin)?.delete(name);
    else this.plant(origin, name, value);
  }
}
