import { randomInt } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { RecordReader, recordOf } from './records.ts';
import { XdrReader, XdrWriter } from '../../../formats/xdr.ts';

/** Sun RPC calls (RFC 5531) over one TCP connection, one at a time, with an unauthenticated user id. */

export interface Identity {
  readonly user: number;
  readonly group: number;
}

export interface Procedure {
  readonly program: number;
  readonly version: number;
  readonly number: number;
}

const CALL = 0;
const REPLY = 1;
const RPC_VERSION = 2;
const AUTH_NONE = 0;
const AUTH_SYS = 1;
const MAX_VERIFIER_BYTES = 400;
const ACCEPT_PROBLEMS = [
  '',
  'it does not offer this program',
  'it does not offer this version',
  'it does not know this procedure',
  'it could not read the call',
  'it failed',
];
/** Most servers only accept privileged ports. */
const RESERVED = { from: 665, to: 1023, tries: 8 } as const;

export class RpcConnection {
  readonly #socket: Socket;
  readonly #identity: Identity;
  readonly #records = new RecordReader();
  #waiting:
    | { xid: number; done: (reader: XdrReader) => void; fail: (why: Error) => void }
    | undefined;
  #broken: Error | undefined;

  private constructor(socket: Socket, identity: Identity) {
    this.#socket = socket;
    this.#identity = identity;
    socket.on('data', (chunk: Buffer) => this.#take(chunk));
    socket.on('error', (error) => this.#break(error));
    socket.on('close', () => this.#break(new Error('the server closed the connection')));
  }

  static async open(
    { host, port }: { readonly host: string; readonly port: number },
    identity: Identity,
    signal: AbortSignal,
  ): Promise<RpcConnection> {
    for (let tried = 0; process.getuid?.() === 0 && tried < RESERVED.tries; tried += 1) {
      const localPort = randomInt(RESERVED.from, RESERVED.to + 1);
      try {
        return new RpcConnection(await dial({ host, port, localPort }, signal), identity);
      } catch (error) {
        const { code = '' } = error as NodeJS.ErrnoException;
        if (!['EADDRINUSE', 'EADDRNOTAVAIL', 'EACCES'].includes(code)) throw error;
      }
    }
    return new RpcConnection(await dial({ host, port }, signal), identity);
  }

  /** Result after the answer's headers. Rejects with the server's error. */
  async call(procedure: Procedure, args: Uint8Array, signal: AbortSignal): Promise<XdrReader> {
    signal.throwIfAborted();
    if (this.#broken !== undefined) throw this.#broken;
    if (this.#waiting !== undefined) throw new Error('a call is under way already');
    const xid = randomInt(2 ** 32);
    const stop = (): void => this.close();
    signal.addEventListener('abort', stop, { once: true });
    try {
      return await new Promise<XdrReader>((done, fail) => {
        this.#waiting = { xid, done, fail };
        this.#socket.write(recordOf(callOf(xid, procedure, this.#identity, args)));
      });
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      this.#waiting = undefined;
      signal.removeEventListener('abort', stop);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    try {
      for (const message of this.#records.push(chunk)) this.#answer(new XdrReader(message));
    } catch (error) {
      this.#break(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #answer(reader: XdrReader): void {
    const waiting = this.#waiting;
    // An answer to no question: the connection is unusable.
    if (reader.uint32() !== waiting?.xid || reader.uint32() !== REPLY) {
      throw new Error('it answers what was not asked');
    }
    const problem = problemIn(reader);
    if (problem === undefined) waiting.done(reader);
    else waiting.fail(new Error(problem));
  }

  #break(why: Error): void {
    this.#broken ??= why;
    this.#socket.destroy();
    this.#waiting?.fail(this.#broken);
  }
}

function dial(
  to: { readonly host: string; readonly port: number; readonly localPort?: number },
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, autoSelectFamily: false, noDelay: true });
    const stop = (): void => {
      socket.destroy();
      reject(signal.reason as Error);
    };
    signal.addEventListener('abort', stop, { once: true });
    socket.once('error', (error) => {
      signal.removeEventListener('abort', stop);
      reject(error);
    });
    socket.once('connect', () => {
      signal.removeEventListener('abort', stop);
      socket.removeAllListeners('error');
      resolve(socket);
    });
  });
}

function callOf(
  xid: number,
  { program, version, number }: Procedure,
  { user, group }: Identity,
  args: Uint8Array,
): Buffer {
  const credential = new XdrWriter().uint32(0).string('godwit').uint32(user, group, 0).bytes();
  return new XdrWriter()
    .uint32(xid, CALL, RPC_VERSION, program, version, number, AUTH_SYS)
    .opaque(credential)
    .uint32(AUTH_NONE, 0)
    .raw(args)
    .bytes();
}

function problemIn(reader: XdrReader): string | undefined {
  if (reader.uint32() !== 0) {
    const why = reader.uint32() === 1 ? 'it does not take this user' : 'it knows another RPC';
    return `the call was denied: ${why}`;
  }
  reader.uint32();
  reader.opaque(MAX_VERIFIER_BYTES);
  const status = reader.uint32();
  return status === 0 ? undefined : (ACCEPT_PROBLEMS[status] ?? `it says ${status}`);
}
