/** `ip` or `tc`, started ahead in a namespace of the lab and waiting for lines: a line is carried out within a ms. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { systemEnvironment } from '../../lab/environment.ts';
import { inLab } from '../../lab/entry.ts';
import { namespaceOf } from '../../lab/plan.ts';
import type { Lab } from '../../lab/state.ts';

export class Batch {
  readonly #child: ChildProcess;
  #said = '';

  constructor(lab: Lab, tool: 'ip' | 'tc', member: string) {
    const namespace = namespaceOf(lab.name, member);
    const [program = '', ...args] = inLab(lab.entry, [
      tool,
      '-n',
      namespace,
      '-force',
      '-batch',
      '-',
    ]);
    this.#child = spawn(program, args, {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: systemEnvironment(),
    });
    this.#child.on('error', () => {});
    this.#child.stdin?.on('error', () => {});
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(-1000);
    });
  }

  write(...lines: readonly string[]): void {
    this.#child.stdin?.write(lines.map((line) => `${line}\n`).join(''));
  }

  /** Ends it once all lines have been carried out; returns what it complained of. */
  async end(): Promise<string> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return this.#said;
    const ended = once(this.#child, 'close');
    this.#child.stdin?.end();
    await ended;
    return this.#said;
  }
}
