import { Fifo } from '../../../links/fifo.ts';
import type { LocalSocket } from '../../../links/local-socket.ts';
import { BadTunnelMessage, MAX_DATA, readMessage, writeMessage, type Message } from './messages.ts';
import type { Standing } from './answer-timeout.ts';
import { FIRST_ROOM, ReceiveCredit, type CreditPool } from './flow-control.ts';

export interface StreamDependencies {
  /** The hypervisor's end; rejects if unreachable. */
  readonly socket: Promise<LocalSocket>;
  readonly pool: CreditPool;
  /** Messages of a stream leave in call order. Rejects once the session is over. */
  readonly send: (message: Uint8Array) => Promise<void>;
  readonly count: (bytes: { readonly sent: number; readonly received: number }) => void;
  /** Both ends are closed, and the session has this end's message: the channel is free. */
  readonly over: () => void;
}

/** Reports taken bytes after a quarter of the credit, or after a delay. */
const REPORT_BYTES = FIRST_ROOM / 4;
const REPORT_MS = 5;
/** Pieces handed to the hypervisor at once; about what it takes without waiting. */
const MAX_PIECES = 8;

/** One end of a tunneled connection; the same at the source and the destination. */
export class Stream {
  readonly #deps: StreamDependencies;
  readonly #room: ReceiveCredit;
  readonly #queue = new Fifo<Uint8Array>();
  #socket: LocalSocket | undefined;
  #waiting: (() => void)[] = [];
  #credit = FIRST_ROOM;
  #sent = 0;
  #farTaken = 0;
  #asked = false;
  #taken = 0;
  #more = 0;
  #isReporting = false;
  #late: NodeJS.Timeout | undefined;
  /** Everything received was handed over or dropped. */
  #written = false;
  #farEnded = false;
  #farClosed = false;
  #closed = false;
  /** The session has taken this end's `closed`, or is over. */
  #isClosedSent = false;
  #broken = false;
  #over = false;

  constructor(deps: StreamDependencies) {
    this.#deps = deps;
    this.#room = new ReceiveCredit(deps.pool);
  }

  /** Progress of sending; undefined once nothing more is sent. */
  get standing(): Standing | undefined {
    if (this.#closed || this.#socket?.state !== 'open') return undefined;
    return { sent: this.#sent, taken: this.#farTaken, asked: this.#asked };
  }

  get heldBytes(): number {
    return this.#room.heldBytes;
  }

  /** Runs until this end is closed; never rejects. */
  async run(): Promise<void> {
    try {
      const socket = await this.#deps.socket;
      this.#socket = socket;
      this.#look();
      const writing = this.#write(socket);
      await this.#read(socket);
      await writing;
    } catch {
      // The hypervisor is unreachable, or the session is over.
    }
    this.break();
    this.#closed = true;
    clearTimeout(this.#late);
    this.#room.end();
    await this.#send({ kind: 'closed' }).catch(() => undefined);
    this.#isClosedSent = true;
    this.#look();
  }

  /** Handles a message of the far end; throws BadTunnelMessage if it is invalid now. */
  receive(bytes: Uint8Array): void {
    const message = readMessage(bytes);
    if (this.#farClosed) throw new BadTunnelMessage(`${message.kind} after the last`);
    switch (message.kind) {
      case 'open':
        throw new BadTunnelMessage('a channel opened that is open');
      case 'data':
        this.#data(message.bytes);
        break;
      case 'end':
        if (this.#farEnded) throw new BadTunnelMessage('a second end');
        this.#farEnded = true;
        break;
      case 'room':
        this.#credited(message.taken, message.room);
        break;
      case 'closed':
        this.#farClosed = true;
        break;
    }
    this.#look();
  }

  break(): void {
    this.#broken = true;
    this.#queue.clear();
    this.#socket?.break();
    this.#wake();
  }

  #data(bytes: Uint8Array): void {
    if (this.#farEnded) throw new BadTunnelMessage('data after the end');
    if (this.#closed) return;
    if (!this.#room.came(bytes.length))
      throw new BadTunnelMessage('more data than there is room for');
    this.#asked = false;
    this.#deps.count({ sent: 0, received: bytes.length });
    if (!this.#broken) this.#queue.push(bytes);
  }

  #credited(taken: number, room: number): void {
    if (taken > this.#sent - this.#farTaken || room < taken || room > 2 * taken) {
      throw new BadTunnelMessage(`${taken} bytes taken, and room for ${room}`);
    }
    this.#farTaken += taken;
    this.#credit += room;
  }

  /** Applies changes to the hypervisor's connection, and checks for the end. */
  #look(): void {
    // Delivers data received before a regular end.
    if (this.#farClosed && (!this.#farEnded || this.#written)) this.break();
    else if (this.#broken) this.#socket?.break();
    this.#wake();
    if (!this.#isClosedSent || !this.#farClosed || this.#over) return;
    this.#over = true;
    this.#deps.over();
  }

  async #read(socket: LocalSocket): Promise<void> {
    while (socket.state === 'open' && !this.#broken) {
      const chunk = socket.read();
      if (chunk === undefined) await socket.wait();
      else await this.#forward(chunk);
    }
    if (socket.state === 'ended') await this.#send({ kind: 'end' });
    else this.break();
  }

  async #forward(chunk: Buffer): Promise<void> {
    let at = 0;
    while (at < chunk.length) {
      while (this.#credit === 0 && !this.#broken) await this.#changed();
      if (this.#broken) return;
      const bytes = chunk.subarray(at, at + Math.min(this.#credit, MAX_DATA));
      at += bytes.length;
      this.#credit -= bytes.length;
      this.#sent += bytes.length;
      this.#asked = true;
      this.#deps.count({ sent: bytes.length, received: 0 });
      await this.#send({ kind: 'data', bytes });
    }
  }

  async #write(socket: LocalSocket): Promise<void> {
    while (!this.#broken) {
      const pieces = this.#next();
      if (pieces.length > 0) {
        if (await socket.write(...pieces))
          this.#took(pieces.reduce((sum, { length }) => sum + length, 0));
        else this.break();
      } else if (this.#farEnded) break;
      else await this.#changed();
    }
    if (!this.#broken) socket.finish();
    this.#written = true;
    this.#look();
  }

  #next(): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    for (let first = this.#queue.peek(); first !== undefined; first = this.#queue.peek()) {
      if (pieces.length === MAX_PIECES) break;
      pieces.push(first);
      this.#queue.shift();
    }
    return pieces;
  }

  #took(bytes: number): void {
    if (this.#closed) return;
    this.#taken += bytes;
    this.#more += this.#room.taken(bytes);
    if (this.#taken >= Math.max(REPORT_BYTES, this.#room.mostBytes / 4)) void this.#report();
    else this.#late ??= setTimeout(() => void this.#report(), REPORT_MS);
  }

  /** One message at a time; later bytes go with the next. */
  async #report(): Promise<void> {
    clearTimeout(this.#late);
    this.#late = undefined;
    if (this.#isReporting) return;
    this.#isReporting = true;
    while (this.#taken > 0 && !this.#closed) {
      const message = { kind: 'room', taken: this.#taken, room: this.#more } as const;
      this.#taken = 0;
      this.#more = 0;
      await this.#send(message).catch(() => undefined);
    }
    this.#isReporting = false;
  }

  #send(message: Message): Promise<void> {
    return this.#deps.send(writeMessage(message));
  }

  async #changed(): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const go of waiting) go();
  }
}
