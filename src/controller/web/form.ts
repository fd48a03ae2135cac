import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { GodwitError } from '../../errors.ts';
import { bytesOf, sendBytes, type AnswerForm } from '../../rpc/answer.ts';
import { Ready } from '../../rpc/ready-answer.ts';
import { problemOf, PROBLEM_TYPE } from './problem.ts';

const WORTH_BYTES = 1400;
const zip = promisify(gzip);

interface EncodedAnswer {
  readonly etag: string;
  zipped?: Promise<Buffer>;
}

/** Answers with an ETag, compressed on request, errors as problem+json. */
export function webForm(further: (error: GodwitError) => object): AnswerForm {
  const known = new WeakMap<Ready, EncodedAnswer>();
  const workedOf = (ready: Ready): EncodedAnswer => {
    const worked = known.get(ready) ?? { etag: etagOf(ready.bytes) };
    known.set(ready, worked);
    return worked;
  };
  return {
    async send(response, value, stallMs) {
      const ready = value instanceof Ready ? value : new Ready(value);
      const { method, headers: asked } = response.req;
      const type = { 'content-type': 'application/json; charset=utf-8', vary: 'accept-encoding' };
      if (method !== 'GET') {
        const headers = { ...type, 'cache-control': 'no-store' };
        return sendBytes(response, { status: 200, headers, bytes: ready.bytes }, stallMs);
      }
      const worked = workedOf(ready);
      const headers = { ...type, 'cache-control': 'private, no-cache', etag: worked.etag };
      if (isAmong(asked['if-none-match'], worked.etag))
        return sendBytes(response, { status: 304, headers, bytes: Buffer.alloc(0) }, stallMs);
      if (ready.bytes.length < WORTH_BYTES || !takes(asked['accept-encoding'], 'gzip'))
        return sendBytes(response, { status: 200, headers, bytes: ready.bytes }, stallMs);
      const bytes = await (worked.zipped ??= zip(ready.bytes));
      const zipped = { ...headers, 'content-encoding': 'gzip' };
      return sendBytes(response, { status: 200, headers: zipped, bytes }, stallMs);
    },
    async refuse(response, error, stallMs) {
      if (response.headersSent) return;
      const headers = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' };
      const bytes = bytesOf({ ...problemOf(error), ...further(error) });
      await sendBytes(response, { status: error.http, headers, bytes }, stallMs);
    },
  };
}

/** Weak, because the compressed answer has the same. */
export function etagOf(bytes: Buffer): string {
  return `W/"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`;
}

export function isAmong(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((each) => each.trim() === etag || each.trim() === '*');
}

export function takes(header: string | string[] | undefined, encoding: string): boolean {
  return String(header ?? '')
    .split(',')
    .some((each) => {
      const [name = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase());
      return name === encoding && !parameters.some((part) => /^q=0(\.0*)?$/.test(part));
    });
}
