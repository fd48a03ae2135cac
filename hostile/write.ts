import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { setTimeout as wait } from 'node:timers/promises';
import { HEAD_BYTES } from '../src/links/format.ts';
import { splitAddress } from '../src/protocol/names.ts';
import { clientTls, type Credentials } from '../src/rpc/tls.ts';
import { SESSION } from './cases/bytes.ts';
import type { Bytes } from './cases/case.ts';

/** Bytes over a connection of one’s own, whatever comes back. */

export interface WriteTarget {
  readonly credentials: Credentials;
  readonly address: string;
  /** The session that waits there, and the migration that it is of. */
  readonly session?: string;
  readonly migration?: string;
}

const OPEN_MS = 3000;
const PAUSE_MS = 3;
const MAX_ANSWER = 64 * 1024;

/** Resolves to the beginning of what came back, once the connection is over or was held long enough. */
export async function writeBytes(said: Bytes, reached: WriteTarget): Promise<string> {
  const socket = openSocket(said, reached);
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    if (answer.length < MAX_ANSWER) answer += chunk.toString('latin1');
  });
  const over = new AbortController();
  socket.on('error', () => {}).on('close', () => over.abort());
  const pause = (ms: number): Promise<unknown> =>
    wait(ms, undefined, { signal: over.signal }).catch(() => undefined);
  try {
    await Promise.race([opened(socket, said), pause(OPEN_MS)]);
    for (const [index, piece] of said.pieces.entries()) {
      if (over.signal.aborted) break;
      const bytes = Buffer.from(piece, 'base64');
      socket.write(index === 0 && said.greets ? named(bytes, reached) : bytes);
      await pause(PAUSE_MS);
    }
    await pause(said.holdMs);
    return answer;
  } finally {
    socket.destroy();
  }
}

function openSocket({ manner, alpn }: Bytes, { credentials, address }: WriteTarget): Socket {
  const to = splitAddress(address);
  if (manner === 'plain') return connect(to);
  const shown = manner === 'tls' ? credentials : { ca: credentials.ca };
  return connectTls({ ...clientTls(shown), ALPNProtocols: [alpn], ...to });
}

function opened(socket: Socket, { manner }: Bytes): Promise<void> {
  return new Promise((resolve) => {
    socket.once(manner === 'plain' ? 'connect' : 'secureConnect', () => resolve());
  });
}

/** A hello for the session that is waited for now: it was made before anybody knew which that is. */
function named(bytes: Buffer, { session, migration }: WriteTarget): Buffer {
  if (session === undefined || migration === undefined) return bytes;
  const length = bytes.length >= HEAD_BYTES ? bytes.readUInt32BE(4) : 0;
  // Cut short: there is no whole hello to put a name into.
  if (length === 0 || bytes.length < HEAD_BYTES + length) return bytes;
  const hello = bytes.subarray(HEAD_BYTES, HEAD_BYTES + length).toString('latin1');
  const text = hello.replace(SESSION, session).replace('"m-own"', `"${migration}"`);
  const head = Buffer.from(bytes.subarray(0, HEAD_BYTES));
  head.writeUInt32BE(text.length, 4);
  return Buffer.concat([head, Buffer.from(text, 'latin1'), bytes.subarray(HEAD_BYTES + length)]);
}
