import type { Socket } from 'node:net';

export interface LineUser {
  /** Without its end. */
  line(text: string): void;
  /** It is longer than it may be, or bytes came after the last line that there can be. */
  broken(why: string): void;
}

/** Reads lines from a socket until it is released, from when on the socket is somebody else's. */
export class LineReader {
  readonly #socket: Socket;
  readonly #mostBytes: number;
  readonly #user: LineUser;
  #rest = '';
  #isReading = true;
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);

  constructor(socket: Socket, mostBytes: number, user: LineUser) {
    this.#socket = socket;
    this.#mostBytes = mostBytes;
    this.#user = user;
    socket.on('data', this.#onData);
  }

  /** No line comes after the one that is being read: what follows it in the same piece would be lost, so there must be nothing. */
  release(): boolean {
    this.#isReading = false;
    this.#socket.removeListener('data', this.#onData);
    this.#socket.pause();
    return this.#rest === '';
  }

  #take(chunk: Buffer): void {
    this.#rest += chunk.toString('latin1');
    while (this.#isReading) {
      const end = this.#rest.indexOf('\n');
      if (end > this.#mostBytes || (end < 0 && this.#rest.length > this.#mostBytes)) {
        this.#isReading = false;
        this.#user.broken(`a line of more than ${this.#mostBytes} bytes`);
        return;
      }
      if (end < 0) return;
      const line = Buffer.from(this.#rest.slice(0, end), 'latin1').toString('utf8');
      this.#rest = this.#rest.slice(end + 1);
      this.#user.line(line);
    }
  }
}
