import type { Output } from './context.ts';
import { width } from '../words/terminal-width.ts';

/** A block of lines at the end of a terminal, redrawn in place, with permanent lines above it. */
export class Screen {
  readonly #out: Output;
  #drawn: readonly string[] = [];

  constructor(out: Output) {
    this.#out = out;
  }

  draw(block: readonly string[], above: readonly string[] = []): void {
    const lines = [...above, ...block].map((line) => `${line}\n`).join('');
    this.#out.write(`${this.#erase()}${lines}`);
    this.#drawn = block;
  }

  clear(): void {
    this.#out.write(this.#erase());
    this.#drawn = [];
  }

  /** Counts rows by the present width, because a narrowed terminal has wrapped the lines. */
  #erase(): string {
    const columns = Math.max(1, this.#out.columns());
    const rows = this.#drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(width(line) / columns)),
      0,
    );
    return rows === 0 ? '' : `\r\u001b[${rows}A\u001b[J`;
  }
}
