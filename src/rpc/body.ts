import type { IncomingMessage } from 'node:http';
import { withDeadline } from '../deadline.ts';
import { godwitError, toGodwitError, type GodwitError } from '../errors.ts';

/** A sender that has begun gets its refusal only when it listens, so this many times the limit is read and dropped. */
const DROPPED_FACTOR = 8;

export interface BodyBounds {
  /** Of this body. */
  readonly bytes: number;
  /** Until all of it is there. */
  readonly ms: number;
  /** Counts what comes on its sender’s share; throws where that has no room. */
  readonly take: (bytes: number) => void;
}

/**
 * Reads the JSON body of a request. GODWIT_TOO_LARGE beyond its bytes, however it was announced; GODWIT_DEADLINE when
 * its sender is too slow; GODWIT_PROTOCOL_INVALID when it is not JSON. What its headers say is judged before it is read.
 */
export async function readJson(
  request: IncomingMessage,
  bounds: BodyBounds,
  peer: string,
  signal: AbortSignal,
): Promise<unknown> {
  const type = request.headers['content-type'] ?? '';
  const invalid = (what: string, cause?: unknown): Error =>
    godwitError('GODWIT_PROTOCOL_INVALID', { peer, expected: 'a JSON body', what }, { cause });
  if (!/^application\/json\b/i.test(type)) {
    throw invalid(`content-type is ${type.slice(0, 80) || 'absent'}`);
  }
  const bytes = await withDeadline(`the body of ${peer}`, bounds.ms, signal, (inner) =>
    readBytes(request, bounds, inner),
  );
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

/** Reads on after its signal, and keeps nothing: a stream that is left ends its connection, and with it the refusal. */
async function readBytes(
  request: IncomingMessage,
  { bytes: limit, take }: BodyBounds,
  signal: AbortSignal,
): Promise<Buffer> {
  const tooLarge = godwitError('GODWIT_TOO_LARGE', { what: 'the request body', limit });
  if (Number(request.headers['content-length'] ?? 0) > limit * DROPPED_FACTOR) throw tooLarge;
  const chunks: Buffer[] = [];
  let size = 0;
  let full: GodwitError | undefined;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > limit * DROPPED_FACTOR) break;
    if (size > limit || full !== undefined || signal.aborted) {
      chunks.length = 0;
      continue;
    }
    try {
      take(chunk.length);
      chunks.push(chunk);
    } catch (thrown) {
      full = toGodwitError(thrown);
    }
  }
  if (size > limit) throw tooLarge;
  if (full !== undefined) throw full;
  return Buffer.concat(chunks, size);
}
