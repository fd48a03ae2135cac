import { request } from 'node:https';
import type { CustomFetch } from 'openid-client';
import { defined } from '../protocol/defined.ts';

const MAX_BYTES = 1024 * 1024;

/** Response throws if it gets a body for these. */
const WITHOUT_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

export class NoAnswer extends Error {
  override readonly name = 'NoAnswer';
}

/** `fetch` over TLS with a given CA. Throws NoAnswer for no answer, a long one, or an invalid HTTP status. */
export function httpsFetch(ca: string | undefined): CustomFetch {
  return async (url, { method, headers, body, signal }) => {
    const sent = Buffer.from(await new Response(body ?? null).arrayBuffer());
    const length = sent.length === 0 ? {} : { 'content-length': String(sent.length) };
    const options = {
      method,
      headers: { ...headers, ...length },
      agent: false,
      ...defined({ ca, signal }),
    };
    return new Promise<Response>((resolve, reject) => {
      const failed = (error: Error): void =>
        reject(new NoAnswer(signal?.aborted === true ? 'not in time' : error.message));
      const asked = request(url, options, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('error', failed);
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          chunks.push(chunk);
          if (size > MAX_BYTES) response.destroy(new Error(`more than ${MAX_BYTES} bytes came`));
        });
        response.on('end', () => {
          const { statusCode: status = 0 } = response;
          const type = { 'content-type': response.headers['content-type'] ?? '' };
          const bytes = size === 0 || WITHOUT_BODY.has(status) ? null : Buffer.concat(chunks);
          if (status < 200 || status > 599) failed(new Error(`it answered with ${status}`));
          else resolve(new Response(bytes, { status, headers: type }));
        });
      });
      asked.on('error', failed);
      asked.end(sent);
    });
  };
}
