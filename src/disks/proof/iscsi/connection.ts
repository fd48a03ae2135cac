import { connect, type Socket } from 'node:net';
import * as pdus from './pdu.ts';
import type { Pdu } from './pdu.ts';

/** Maximum unread data before reading pauses: one message of maximum size. */
const MAX_HELD_BYTES = pdus.MAX_PDU_BYTES;
/** Maximum unsent answers for a target that pings but does not read. */
const MAX_UNREAD_BYTES = 65_536;

/** One connection; messages in both directions, one after the other. */
export class IscsiConnection {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #failed: Error | undefined;
  #wake: (() => void) | undefined;
  #tag = 0;
  expected = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      if (this.#bytes.length >= MAX_HELD_BYTES) socket.pause();
      this.#wake?.();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('it closed the connection')));
  }

  static open(host: string, port: number, signal: AbortSignal): Promise<IscsiConnection> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const socket = connect({ host: host.replaceAll(/^\[|\]$/g, ''), port, noDelay: true });
      const stop = (): void => {
        socket.destroy(signal.reason as Error);
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', stop, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', stop));
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.removeListener('error', reject);
        resolve(new IscsiConnection(socket));
      });
    });
  }

  nextTag(): number {
    this.#tag += 1;
    return this.#tag;
  }

  send(bytes: Buffer): void {
    if (this.#socket.destroyed) return;
    if (this.#socket.writableLength <= MAX_UNREAD_BYTES) this.#socket.write(bytes);
    else this.#socket.destroy(new Error('it reads nothing of what it is sent'));
  }

  close(): void {
    this.#socket.end();
    this.#socket.destroySoon();
  }

  async next(): Promise<Pdu> {
    for (;;) {
      const found = pdus.decode(this.#bytes);
      if (found !== undefined) {
        this.#bytes = found.rest;
        if (this.#bytes.length < MAX_HELD_BYTES) this.#socket.resume();
        this.#count(found.pdu);
        return found.pdu;
      }
      if (this.#failed !== undefined) throw this.#failed;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Answers are counted; intermediate data and the target's questions are not. */
  #count(pdu: Pdu): void {
    const opcode = pdus.opcodeOf(pdu);
    const isPart = opcode === pdus.OPCODES.dataIn && (pdu.header.readUInt8(1) & 0x01) === 0;
    const isPing = opcode === pdus.OPCODES.nopIn && pdu.header.readUInt32BE(16) === pdus.NO_TAG;
    if (isPart || isPing) return;
    this.expected = (pdu.header.readUInt32BE(24) + 1) >>> 0;
  }

  #fail(error: Error): void {
    this.#failed ??= error;
    this.#wake?.();
  }
}
