import type { IncomingMessage } from 'node:http';
import { godwitError } from '../errors.ts';

/** A sender that has begun gets its refusal only when it listens, so this many times the limit is read and dropped. */
const DROPPED_FACTOR = 8;

/**
 * Reads the JSON body of a request.
 * GODWIT_TOO_LARGE beyond `limit` bytes, however it was announced; GODWIT_PROTOCOL_INVALID when it is not JSON.
 */
export async function readJson(
  request: IncomingMessage,
  limit: number,
  peer: string,
): Promise<unknown> {
  const type = request.headers['content-type'] ?? '';
  const invalid = (what: string, cause?: unknown): Error =>
    godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected: 'a JSON body', what }, { cause });
  const bytes = await readBytes(request, limit);
  if (!/^application\/json\b/i.test(type)) {
    throw invalid(`content-type is ${type.slice(0, 80) || 'absent'}`);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid('it is not UTF-8', cause);
  }
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw invalid(text === '' ? 'it is empty' : 'it is not JSON', cause);
  }
}

async function readBytes(request: IncomingMessage, limit: number): Promise<Buffer> {
  const tooLarge = godwitError('GODWIT_TOO_LARGE', { what: 'the request body', limit });
  if (Number(request.headers['content-length'] ?? 0) > limit * DROPPED_FACTOR) throw tooLarge;
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit * DROPPED_FACTOR) break;
    if (size > limit) chunks.length = 0;
    else chunks.push(chunk);
  }
  if (size > limit) throw tooLarge;
  return Buffer.concat(chunks, size);
}
