import type { Writable } from 'node:stream';

/** What a pipe takes whole or not at all (PIPE_BUF): whoever takes a monitor over must not find half a command in it. */
export const MAX_BYTES = 4096;

/**
 * Writes commands to a monitor in the order given. Those of one turn go together: a look at a guest sends hundreds, and a
 * system call for each takes longer than all the rest of it.
 */
export class CommandWriter {
  readonly #output: Writable;
  #lines: string[] = [];

  constructor(output: Writable) {
    this.#output = output;
  }

  /** `line` with its end. It is written before the event loop goes on. */
  push(line: string): void {
    // After the microtasks: what several answers lead to goes together as well.
    if (this.#lines.length === 0) process.nextTick(() => this.flush());
    this.#lines.push(line);
  }

  /** Writes now what is still to be written. */
  flush(): void {
    const lines = this.#lines;
    this.#lines = [];
    let together = '';
    let bytes = 0;
    for (const line of lines) {
      const length = Buffer.byteLength(line);
      if (bytes > 0 && bytes + length > MAX_BYTES) {
        this.#output.write(together);
        together = '';
        bytes = 0;
      }
      together += line;
      bytes += length;
    }
    if (bytes > 0) this.#output.write(together);
  }

  /** Writes nothing of it: nobody reads any more. */
  drop(): void {
    this.#lines = [];
  }
}
