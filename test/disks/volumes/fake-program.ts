import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * A program in a directory of a test that stands for one of the system's. `text` is its source, in which `TOP` stands for
 * the directory of its own; it keeps what it holds in `state.json` there, a line for each call in `log`, and waits with
 * what makes a volume while there is a file `hold`.
 */
export class FakeProgram<State> {
  /** To be put in front of PATH. */
  readonly bin: string;
  /** The directory of its own. */
  protected readonly top: string;
  readonly #name: string;

  constructor(top: string, name: string, text: string, state: State) {
    this.#name = name;
    this.top = path.join(top, name);
    this.bin = path.join(top, 'bin');
    for (const each of [this.top, this.bin]) mkdirSync(each, { recursive: true });
    this.#write(state);
    const program = path.join(this.top, `${name}.mjs`);
    writeFileSync(program, text.replace('TOP', JSON.stringify(this.top)));
    const start = `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`;
    writeFileSync(path.join(this.bin, name), start, { mode: 0o755 });
  }

  get state(): State {
    return JSON.parse(readFileSync(path.join(this.top, 'state.json'), 'utf8')) as State;
  }

  /** What it was called with, one line each. */
  get log(): string[] {
    const file = path.join(this.top, 'log');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  }

  change(work: (state: State) => void): void {
    const { state } = this;
    work(state);
    this.#write(state);
  }

  /** As the owner of its volumes would. */
  run(...words: readonly string[]): void {
    execFileSync(path.join(this.bin, this.#name), words);
  }

  /** From here on what makes a volume waits. */
  hold(): void {
    writeFileSync(path.join(this.top, 'hold'), '');
  }

  release(): void {
    rmSync(path.join(this.top, 'hold'), { force: true });
  }

  /** Ends the wait, and detaches the loop devices of these volumes. */
  protected detach(volumes: readonly { readonly loop?: string }[]): void {
    this.release();
    for (const { loop } of volumes)
      if (loop !== undefined) execFileSync('losetup', ['--detach', loop]);
  }

  #write(state: State): void {
    writeFileSync(path.join(this.top, 'state.json'), JSON.stringify(state));
  }
}
