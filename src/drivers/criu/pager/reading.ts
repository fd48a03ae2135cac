import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { onceThereIsRoom } from './journal-file.ts';
import type { JournalFile } from './journal-file.ts';
import * as kernel from './kernel.ts';
import type { Message } from './kernel.ts';
import { KernelError } from './libc.ts';

/** Userfaultfds have numbers from here on, the same in each pager of a container. */
export const LEAST_FD = 1000;

/**
 * Reads what the processes do to their memory, so that what was read is written down: none is read without room for what it
 * says and for the descriptor that it may bring, and a mark stands in a file while one is not written down yet.
 */
export class Reading {
  readonly #file: string;
  readonly #mark: number;
  readonly #journal: JournalFile;
  /** Its place is the next child's. */
  #spare: number | undefined;
  /** There was none for the moment in which a fork is read. */
  #wasFull = false;

  constructor(file: string, journal: JournalFile) {
    this.#file = file;
    this.#journal = journal;
    closeSync(openSync(file, 'a', 0o600));
    this.#mark = openSync(file, 'r+');
  }

  /** Takes up the room that it needs. Throws where the host has less. */
  begin(): void {
    writeSync(this.#mark, '0', 0);
    const why = this.whyNot();
    if (why !== undefined) throw new Error(why);
  }

  /** One was read by a process that has ended before it wrote it down. */
  get wasCutOff(): boolean {
    return readFileSync(this.#file, 'latin1') === '1';
  }

  /** Why none may be read now; the processes wait meanwhile. */
  whyNot(): string | undefined {
    if (!this.#journal.hasRoom()) return 'the disk has no room for its journal';
    try {
      this.#spare ??= kernel.copyOf(this.#mark, LEAST_FD);
      if (!this.#wasFull) return undefined;
      kernel.close(kernel.copyOf(this.#mark, 0));
      // What the kernel lacked may be something else: it is asked a moment later.
      this.#wasFull = false;
    } catch (error) {
      if (!isNoRoom(error)) throw error;
    }
    return 'it may open no more files';
  }

  /** Reads one, and has `note` write down what it changes. Undefined where there is none, or none may be read. */
  next(
    fd: number,
    note: (message: Exclude<Message, { readonly type: 'fault' }>) => void,
  ): Message | undefined {
    if (this.whyNot() !== undefined) return undefined;
    this.#isReading('1');
    let message: Message | undefined;
    try {
      message = kernel.readMessage(fd);
    } catch (error) {
      if (!isNoRoom(error)) throw error;
      // The kernel keeps a fork for which there is no descriptor, and its process waits.
      this.#wasFull = true;
    }
    if (message !== undefined && message.type !== 'fault') note(message);
    this.#isReading('0');
    return message;
  }

  #isReading(is: '0' | '1'): void {
    onceThereIsRoom(() => writeSync(this.#mark, is, 0));
  }

  /** The number of a child's descriptor from now on. */
  place(fd: number): number {
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
