import * as kernel from './kernel.ts';
import type { Message } from './kernel.ts';

/** Number of its descriptor in each pager of a container, and in the keepers. */
export const BUFFER_FD = 999;
/** Offsets behind the message: its source, the place for a child's descriptor, and the journal's length. */
const [FD, PLACE, BYTES] = [32, 40, 48];

/** Message that a pager has read but not recorded. */
export interface Unwritten {
  readonly fd: number;
  readonly message: Message;
  readonly place: number;
}

/**
 * Buffer for read messages, in memory that keepers hold by its descriptor. The kernel drops a message when it is
 * read, so a pager that is killed before recording it leaves it here for the next pager.
 */
export class MessageBuffer {
  readonly #at: bigint;
  readonly #bytes: Buffer;

  private constructor() {
    ({ at: this.#at, bytes: this.#bytes } = kernel.mapShared(BUFFER_FD));
  }

  static make(): MessageBuffer {
    kernel.putAt(kernel.makeMemory('messages'), BUFFER_FD);
    return new MessageBuffer();
  }

  static takeFrom(pid: number): MessageBuffer {
    kernel.takeFrom(pid, BUFFER_FD);
    return new MessageBuffer();
  }

  read(fd: number, place: number, journalBytes: number): Message | undefined {
    this.written();
    this.#bytes.writeUInt32LE(fd, FD);
    this.#bytes.writeUInt32LE(place, PLACE);
    this.#bytes.writeDoubleLE(journalBytes, BYTES);
    return kernel.readMessage(fd, this.#at) ? kernel.messageIn(this.#bytes) : undefined;
  }

  /** The journal contains the message and may be rewritten. */
  written(): void {
    this.#bytes.writeUInt32LE(0, 0);
  }

  /** Child of a fork, recorded or not: its descriptor as read, and its permanent number. */
  get child(): { readonly fd: number; readonly place: number } | undefined {
    const message = this.#bytes[0] === 0 ? undefined : kernel.messageIn(this.#bytes);
    if (message?.type !== 'fork') return undefined;
    return { fd: message.fd, place: this.#bytes.readUInt32LE(PLACE) };
  }

  unwritten(journalBytes: number): Unwritten | undefined {
    if (this.#bytes[0] === 0 || this.#bytes.readDoubleLE(BYTES) !== journalBytes) return undefined;
    const [fd, place] = [this.#bytes.readUInt32LE(FD), this.#bytes.readUInt32LE(PLACE)];
    return { fd, message: kernel.messageIn(this.#bytes), place };
  }
}
