import * as kernel from './kernel.ts';
import type { Message } from './kernel.ts';

/** Its descriptor has this number in each pager of a container, and in what shares descriptors with it. */
export const BUFFER_FD = 999;
/** Behind the message: where it was read, the place for a child's descriptor, and how long the journal was. */
const [FD, PLACE, BYTES] = [32, 40, 48];

/** A message that a pager has read, and of which its journal says nothing. */
export interface Unwritten {
  readonly fd: number;
  readonly message: Message;
  /** Number of a child's descriptor, where it has been put there already. */
  readonly place: number;
}

/**
 * Where the kernel puts a message that is read: in memory that others hold by its descriptor. The kernel forgets a message as it
 * is read, so a pager that is killed before it has written one down leaves it here for the next pager.
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

  /** That of a pager that has ended. */
  static takeFrom(pid: number): MessageBuffer {
    kernel.takeFrom(pid, BUFFER_FD);
    return new MessageBuffer();
  }

  /** The next message of a userfaultfd; undefined where there is none. */
  read(fd: number, place: number, journalBytes: number): Message | undefined {
    this.written();
    this.#bytes.writeUInt32LE(fd, FD);
    this.#bytes.writeUInt32LE(place, PLACE);
    this.#bytes.writeDoubleLE(journalBytes, BYTES);
    return kernel.readMessage(fd, this.#at) ? kernel.messageIn(this.#bytes) : undefined;
  }

  /** The journal says what is in it, and may be written anew. */
  written(): void {
    this.#bytes.writeUInt32LE(0, 0);
  }

  /** Of a fork, whether the journal says it or not: the child's descriptor as it was read, and its number for good. */
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
