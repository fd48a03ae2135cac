import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';

const said = z.strictObject({ hash: z.string() });
const ANSWER_MS = 600_000;

/** A process with memory on a GPU, as who tests it sees it. */
export class Worker {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: AsyncIterator<string>;
  readonly #timer: NodeJS.Timeout;
  /** Of what it has filled its memory with. */
  filled = '';

  private constructor([program, ...args]: readonly [string, ...string[]]) {
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child.stdin.on('error', () => undefined);
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
    // A driver that never answers must not hold up the check for ever.
    this.#timer = setTimeout(() => this.#child.kill('SIGKILL'), ANSWER_MS);
  }

  static async start(argv: readonly [string, ...string[]]): Promise<Worker> {
    const worker = new Worker(argv);
    try {
      worker.filled = await worker.next();
    } catch (error) {
      await worker.end();
      throw error;
    }
    return worker;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  ask(line: string): void {
    this.#child.stdin.write(`${line}\n`);
  }

  async next(): Promise<string> {
    const line = await this.#lines.next();
    if (line.done === true) throw new Error('the process that holds GPU memory has ended');
    return said.parse(JSON.parse(line.value)).hash;
  }

  /** Reads all of it back from the GPU. */
  async isIntact(): Promise<boolean> {
    this.ask('hash');
    return (await this.next()) === this.filled;
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    const { exitCode, signalCode } = this.#child;
    if (exitCode !== null || signalCode !== null) return;
    const ended = new Promise<void>((resolve) => void this.#child.once('exit', () => resolve()));
    this.#child.kill('SIGKILL');
    await ended;
  }
}
