import type { JournalFile } from './journal-file.ts';
import * as kernel from './kernel.ts';
import type { Message } from './kernel.ts';
import { KernelError } from './libc.ts';
import { BUFFER_FD, MessageBuffer, type Unwritten } from './message-buffer.ts';

/** First userfaultfd number; numbers are the same in all pagers of a container. */
export const MIN_FD = BUFFER_FD + 1;

/** Change of a process's memory; for a fork, the child's descriptor with its permanent number. */
export type Change = Exclude<Message, { readonly type: 'fault' }>;
type Note = (fd: number, change: Change) => void;

/**
 * Reads the processes' events without losing any: an event is read only if there is space for its entry and a
 * possible descriptor, and the next pager records an event that this one could not.
 */
export class Reading {
  readonly #journal: JournalFile;
  #buffer: MessageBuffer | undefined;
  #left: Unwritten | undefined;
  /** Placeholder for the next child's descriptor. */
  #spare: number | undefined;
  /** No descriptor was free when a fork had to be read. */
  #wasFull = false;

  constructor(journal: JournalFile) {
    this.#journal = journal;
  }

  begin(): void {
    this.#buffer = MessageBuffer.make();
    const why = this.whyNot();
    if (why !== undefined) throw new Error(why);
  }

  /**
   * Takes over from an ended pager through one of its keepers, including these userfaultfds and the last read
   * child's. Throws if the keeper lacks one.
   */
  takeFrom(pid: number, known: Iterable<number>): void {
    this.#buffer = MessageBuffer.takeFrom(pid);
    this.#left = this.#buffer.unwritten(this.#journal.bytes);
    const { child } = this.#buffer;
    const left = this.#left?.message.type === 'fork' ? [this.#left.place] : [];
    for (const fd of [...known, ...left]) {
      kernel.takeFrom(pid, fd);
      // The pager was killed before it moved the child's descriptor there. Another pager may have recorded its
      // place since.
      if (fd === child?.place && !kernel.isUserfaultfd(fd)) kernel.takeFrom(pid, child.fd, fd);
      if (!kernel.isUserfaultfd(fd)) throw new Error(`descriptor ${fd} is no userfaultfd`);
    }
  }

  finish(note: Note): void {
    if (this.#left === undefined) return;
    const { fd, message, place } = this.#left;
    if (message.type === 'fork') note(fd, { ...message, fd: place });
    else if (message.type !== 'fault') note(fd, message);
    this.#left = undefined;
  }

  /**
   * This pager has its own keepers. Earlier ones may hold the child's descriptor only under the number in the
   * buffer.
   */
  finished(): void {
    this.#buffer?.written();
  }

  /** Reason why no event may be read now; the processes wait. */
  whyNot(): string | undefined {
    if (!this.#journal.hasRoom()) return 'the disk has no room for its journal';
    try {
      this.#spare ??= kernel.copyOf(BUFFER_FD, MIN_FD);
      if (!this.#wasFull) return undefined;
      kernel.close(kernel.copyOf(BUFFER_FD, 0));
      // The kernel may have lacked something else, so it is tried again soon.
      this.#wasFull = false;
    } catch (error) {
      if (!isNoRoom(error)) throw error;
    }
    return 'it may open no more files';
  }

  /** Reads one event and lets `note` record its change. Undefined if there is none, or none may be read. */
  next(fd: number, note: Note): Message | undefined {
    if (this.whyNot() !== undefined || this.#buffer === undefined) return undefined;
    let message: Message | undefined;
    try {
      message = this.#buffer.read(fd, this.#spare ?? 0, this.#journal.bytes);
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      // The kernel keeps a fork event that has no descriptor, and its process waits.
      this.#wasFull = true;
    }
    if (message === undefined || message.type === 'fault') return message;
    note(fd, message.type === 'fork' ? { ...message, fd: this.#place(message.fd) } : message);
    this.#buffer.written();
    return message;
  }

  #place(fd: number): number {
    const child = this.#spare;
    if (child === undefined) throw new Error('a child without a place for its descriptor');
    this.#spare = undefined;
    kernel.putAt(fd, child);
    return child;
  }
}

/** The kernel lacks descriptors or memory, perhaps briefly. */
export function isNoRoom(error: unknown): boolean {
  const { EMFILE, ENFILE, ENOMEM } = kernel.ERRNO;
  return error instanceof KernelError && [EMFILE, ENFILE, ENOMEM].some((no) => no === error.errno);
}
