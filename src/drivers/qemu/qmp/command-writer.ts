import type { Writable } from 'node:stream';

/** Largest atomic pipe write (PIPE_BUF): a mover that takes over must not find half a command. */
export const MAX_BYTES = 4096;

/**
 * Writes commands to a monitor in order. Commands of one event-loop turn are joined: a look at a guest sends
 * hundreds, and a system call for each would take longer than everything else.
 */
export class CommandWriter {
  readonly #output: Writable;
  #lines: string[] = [];

  constructor(output: Writable) {
    this.#output = output;
  }

  /** `line` includes its end. It is written before the event loop continues. */
  push(line: string): void {
    // Runs after the microtasks, so that commands from several answers are joined, too.
    if (this.#lines.length === 0) process.nextTick(() => this.flush());
    this.#lines.push(line);
  }

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

  drop(): void {
    this.#lines = [];
  }
}
