import type { IncomingMessage } from 'node:http';
import { godwitError, type GodwitError } from '../errors.ts';
import { networkFailure, type HttpPool } from './transport.ts';

/** The longest line of a stream, characters. */
const LINE_LIMIT = 1024 * 1024;

/** The whole body as text; GODWIT_TOO_LARGE beyond `limit` bytes. `allowance`: gives what was read, even if it fails. */
export async function readAll(
  response: IncomingMessage,
  limit: number,
  wire: HttpPool,
  allowance?: { bytes: number },
): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (allowance !== undefined) allowance.bytes -= chunk.length;
      if (size > limit) throw tooLarge(wire, limit);
      chunks.push(chunk);
    }
  } catch (thrown) {
    throw networkFailure(thrown, wire);
  }
  return Buffer.concat(chunks, size).toString('utf8');
}

export interface LineReading {
  readonly idleMs: number;
  /** Waited for before the bytes are used: a reader that is slow makes the server wait. Shorter than `idleMs`. */
  readonly pace?: ((bytes: number) => Promise<void> | undefined) | undefined;
}

/** The lines of an NDJSON answer, without the empty ones that only say that the server lives. */
export async function* readLines(
  response: IncomingMessage,
  { idleMs, pace }: LineReading,
  wire: HttpPool,
): AsyncGenerator<string, void, undefined> {
  const { socket } = response;
  let readBytes = socket.bytesRead;
  // Where this process did not run for a while, what arrived meanwhile is read before silence is concluded; and what
  // arrived for a reader that is busy is no silence.
  const timer = setTimeout(() => setImmediate(judge), idleMs);
  // A reader that has aborted may never come back for the rest.
  response.once('close', () => clearTimeout(timer));
  const judge = (): void => {
    if (response.closed) return;
    if (socket.bytesRead > readBytes) {
      readBytes = socket.bytesRead;
      timer.refresh();
      return;
    }
    const reason = `its stream was silent for ${idleMs} ms`;
    const { peer, address } = wire;
    response.destroy(godwitError('GODWIT_UNREACHABLE', { peer, address, reason }));
  };
  let rest = '';
  try {
    response.setEncoding('utf8');
    for await (const chunk of response as AsyncIterable<string>) {
      timer.refresh();
      await pace?.(Buffer.byteLength(chunk));
      rest += chunk;
      const lines = rest.split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > LINE_LIMIT) throw tooLarge(wire, LINE_LIMIT);
      for (const line of lines) if (line !== '') yield line;
    }
    if (rest !== '') yield rest;
  } catch (thrown) {
    throw networkFailure(thrown, wire);
  } finally {
    clearTimeout(timer);
  }
}

function tooLarge(wire: HttpPool, limit: number): GodwitError {
  return godwitError('GODWIT_TOO_LARGE', { what: `an answer of ${wire.peer}`, limit });
}
