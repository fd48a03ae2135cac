import type { JournalFile } from './journal-file.ts';
import * as kernel from './kernel.ts';
import type { Message } from './kernel.ts';
import { KernelError } from './libc.ts';
import { BUFFER_FD, MessageBuffer, type Unwritten } from './message-buffer.ts';

/** Userfaultfds have numbers from here on, the same in each pager of a container. */
export const MIN_FD = BUFFER_FD + 1;

/** What a process did to its memory; of a fork, the descriptor of the child under its number for good. */
export type Change = Exclude<Message, { readonly type: 'fault' }>;
type Note = (fd: number, change: Change) => void;

/**
 * Reads what the processes do to their memory, so that what was read is written down: none is read without room for what it
 * says and for the descriptor that it may bring, and the next pager writes down what this one had no time for.
 */
export class Reading {
  readonly #journal: JournalFile;
  #buffer: MessageBuffer | undefined;
  /** Of the pager before. */
  #left: Unwritten | undefined;
  /** Its place is the next child's. */
  #spare: number | undefined;
  /** There was none for the moment in which a fork is read. */
  #wasFull = false;

  constructor(journal: JournalFile) {
    this.#journal = journal;
  }

  /** Takes up the room that it needs. Throws where the host has less. */
  begin(): void {
    this.#buffer = MessageBuffer.make();
    const why = this.whyNot();
    if (why !== undefined) throw new Error(why);
  }

  /**
   * In the place of a pager that has ended, from one of its keepers: also these userfaultfds, and that of the child of which
   * that pager read last. Throws where the keeper does not hold each.
   */
  takeFrom(pid: number, known: Iterable<number>): void {
    this.#buffer = MessageBuffer.takeFrom(pid);
    this.#left = this.#buffer.unwritten(this.#journal.bytes);
    const { child } = this.#buffer;
    const left = this.#left?.message.type === 'fork' ? [this.#left.place] : [];
    for (const fd of [...known, ...left]) {
      kernel.takeFrom(pid, fd);
      // That pager was killed before it put the child's there. Another one may have written down since that it is there.
      if (fd === child?.place && !kernel.isUserfaultfd(fd)) kernel.takeFrom(pid, child.fd, fd);
      if (!kernel.isUserfaultfd(fd)) throw new Error(`descriptor ${fd} is no userfaultfd`);
    }
  }

  /** Has `note` write down what the pager before had read last, where it has not. */
  finish(note: Note): void {
    if (this.#left === undefined) return;
    const { fd, message, place } = this.#left;
    if (message.type === 'fork') note(fd, { ...message, fd: place });
    else if (message.type !== 'fault') note(fd, message);
    this.#left = undefined;
  }

  /** This pager has keepers of its own. Those before may hold the child's under the number that is in the buffer alone. */
  finished(): void {
    this.#buffer?.written();
  }

  /** Why none may be read now; the processes wait meanwhile. */
  whyNot(): string | undefined {
    if (!this.#journal.hasRoom()) return 'the disk has no room for its journal';
    try {
      this.#spare ??= kernel.copyOf(BUFFER_FD, MIN_FD);
      if (!this.#wasFull) return undefined;
      kernel.close(kernel.copyOf(BUFFER_FD, 0));
      // What the kernel lacked may be something else: it is asked a moment later.
      this.#wasFull = false;
    } catch (error) {
      if (!isNoRoom(error)) throw error;
    }
    return 'it may open no more files';
  }

  /** Reads one, and has `note` write down what it changes. Undefined where there is none, or none may be read. */
  next(fd: number, note: Note): Message | undefined {
    if (this.whyNot() !== undefined || this.#buffer === undefined) return undefined;
    let message: Message | undefined;
    try {
      message = this.#buffer.read(fd, this.#spare ?? 0, this.#journal.bytes);
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      // The kernel keeps a fork for which there is no descriptor, and its process waits.
      this.#wasFull = true;
    }
    if (message === undefined || message.type === 'fault') return message;
    note(fd, message.type === 'fork' ? { ...message, fd: this.#place(message.fd) } : message);
    this.#buffer.written();
    return message;
  }

  /** The number of a child's descriptor from now on. */
  #place(fd: number): number {
    const child = this.#spare;
    if (child === undefined) throw new Error('a child without a place for its descriptor');
    this.#spare = undefined;
    kernel.putAt(fd, child);
    return child;
  }
}

/** It is for want of descriptors or memory that the kernel refuses: it may be otherwise in a moment. */
export function isNoRoom(error: unknown): boolean {
  const { EMFILE, ENFILE, ENOMEM } = kernel.ERRNO;
  return error instanceof KernelError && [EMFILE, ENFILE, ENOMEM].some((no) => no === error.errno);
}
