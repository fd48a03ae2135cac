import type { TLSSocket } from 'node:tls';
import { HEAD_BYTES, LinkFrameReader, writeHead, type Frame } from './format.ts';

/** Whoever uses a connection now: first the greeting, then the session. */
export interface ConnectionUser {
  /** May throw: the connection is then destroyed, and `closed` gets the reason. */
  frame(frame: Frame): void;
  /** The frames of a piece of the stream have all been given. */
  paused(): void;
  closed(error: Error | undefined): void;
}

/** How long a peer may take to close its half after we have closed ours. */
const END_MS = 2000;

/**
 * Of a record, bytes: with what TLS 1.3 adds to them they fill one record of the TLS to a relay. A record of the full size
 * would become two there, the second of 22 bytes, and a relay's work is by the record.
 */
const RECORD_BYTES = 16_384 - 22;

/**
 * Bytes of frames other than data that wait for the kernel; the flight window bounds data. Reports are put off from the
 * first bound on, so a slow link never gets to the second. A peer that does reads none of its answers.
 */
const MANY_CONTROL_BYTES = 16 * 1024;
const MAX_CONTROL_BYTES = 64 * 1024;

/** A TLS connection as frames. */
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
    // Until the end of this turn, so that what is said in one goes out in one piece.
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

  /** Written and not with the kernel. */
  get unreadBytes(): number {
    return this.#socket.writableLength;
  }

  /** So much besides data waits for the kernel that what can be said later should be. */
  get isFull(): boolean {
    return this.#controlBytes >= MANY_CONTROL_BYTES;
  }

  /** What was written still goes, then the connection is closed. */
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
