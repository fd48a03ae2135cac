import type { TLSSocket } from 'node:tls';
import { HEAD_BYTES, LinkFrameReader, writeHead, type Frame } from './format.ts';

/** Present user of a connection: first the greeting, then the session. */
export interface ConnectionUser {
  /** May throw: the connection is then destroyed, and `closed` gets the reason. */
  frame(frame: Frame): void;
  /** All frames of a received chunk were delivered. */
  paused(): void;
  closed(error: Error | undefined): void;
}

/** Time for a peer to close its half after ours, ms. */
const END_MS = 2000;

/**
 * Record size, bytes: with the overhead of TLS 1.3, it fits into one TLS record to a relay. A full record would
 * become two there, the second of 22 bytes, and a relay's cost is per record.
 */
const RECORD_BYTES = 16_384 - 22;

/**
 * Limits of unsent frames other than data; the flight window limits data. Reports are delayed from the first
 * limit on, so a slow link never reaches the second; a peer that does is not reading its answers.
 */
const MANY_CONTROL_BYTES = 16 * 1024;
const MAX_CONTROL_BYTES = 64 * 1024;

export class Connection {
  readonly #socket: TLSSocket;
  readonly #reader = new LinkFrameReader();
  #user: ConnectionUser;
  #error: Error | undefined;
  #ending: NodeJS.Timeout | undefined;
  #controlBytes = 0;

  constructor(socket: TLSSocket, user: ConnectionUser) {
    this.#socket = socket;
    this.#user = user;
    socket.setNoDelay(true);
    if (!socket.destroyed) socket.setMaxSendFragment(RECORD_BYTES);
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => (this.#error ??= error));
    socket.on('close', () => {
      clearTimeout(this.#ending);
      this.#user.closed(this.#error);
    });
  }

  set user(user: ConnectionUser) {
    this.#user = user;
  }

  get remote(): string {
    return this.#socket.remoteAddress ?? 'a peer';
  }

  write(frame: Frame): void {
    if (!this.#socket.writable) return;
    // Corked until the end of this turn, so that all frames of a turn are sent together.
    if (this.#socket.writableCorked === 0) {
      this.#socket.cork();
      process.nextTick(() => this.#socket.uncork());
    }
    const { type, payload } = frame;
    const isData = type === 'data' || type === 'piece';
    const controlBytes = isData ? 0 : HEAD_BYTES + payload.length;
    this.#controlBytes += controlBytes;
    if (this.#controlBytes > MAX_CONTROL_BYTES) {
      this.destroy(new Error('it does not read what it is answered'));
      return;
    }
    const written = isData ? undefined : () => void (this.#controlBytes -= controlBytes);
    const head = writeHead(frame);
    if (payload.length === 0) this.#socket.write(head, written);
    else {
      this.#socket.write(head);
      this.#socket.write(payload, written);
    }
  }

  /** Written bytes that the kernel has not taken. */
  get unreadBytes(): number {
    return this.#socket.writableLength;
  }

  /** Enough frames other than data wait that reports should be delayed. */
  get isFull(): boolean {
    return this.#controlBytes >= MANY_CONTROL_BYTES;
  }

  end(): void {
    if (this.#ending !== undefined) return;
    this.#ending = setTimeout(() => this.#socket.destroy(), END_MS);
    this.#socket.end();
    if (this.#socket.destroyed) clearTimeout(this.#ending);
  }

  destroy(error?: Error): void {
    this.#error ??= error;
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    try {
      for (const frame of this.#reader.read(chunk)) this.#user.frame(frame);
      this.#user.paused();
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}
