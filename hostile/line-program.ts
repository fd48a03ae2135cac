import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { jsonLine } from '../src/formats/json.ts';

/** A program of ours on a host of the lab, which answers each line with one line. */
export class Talker {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;

  constructor(argv: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    const [program = '', ...args] = argv;
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#ended = once(this.#child, 'close');
    this.#child.stdin?.on('error', () => {});
    const input = this.#child.stdout;
    if (input === null) throw new Error(`${program} has no output`);
    this.#lines = createInterface({ input })[Symbol.asyncIterator]();
  }

  /** The next line that it says. Rejects when it has ended. */
  async next(): Promise<unknown> {
    const { value, done } = (await this.#lines.next()) as IteratorResult<string, undefined>;
    if (done === true) throw new Error('the program has ended');
    return JSON.parse(value);
  }

  ask(line: unknown): Promise<unknown> {
    this.#child.stdin?.write(jsonLine(line));
    return this.next();
  }

  /** Closes its input, upon which it tidies up and ends; kills it after `graceMs`. */
  async end(graceMs: number): Promise<void> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), graceMs);
    await this.#ended;
    clearTimeout(timer);
  }
}
