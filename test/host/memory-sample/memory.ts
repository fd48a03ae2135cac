import assert from 'node:assert/strict';
import type { Pages } from '../../../src/host/memory-sample/pages.ts';

/** Memory whose pages are made by number; `written(page, ms)`: whether it has been written by then. */
export class Memory implements Pages {
  readonly count: number;
  nowMs = 0;
  reads = 0;
  readonly #content: (page: number) => Buffer | 'absent' | 'away';
  readonly #written: (page: number, ms: number) => boolean;

  constructor(
    count: number,
    content: (page: number) => Buffer | 'absent' | 'away',
    written: (page: number, ms: number) => boolean = () => false,
  ) {
    this.count = count;
    this.#content = content;
    this.#written = written;
  }

  state(page: number) {
    const content = this.#content(page);
    if (content === 'away') return 'away';
    return content === 'absent' && !this.#written(page, this.nowMs) ? 'absent' : 'here';
  }

  read(page: number, into: Buffer): boolean {
    assert.equal(this.state(page), 'here', 'a page was read that is not there');
    this.reads += 1;
    const content = this.#content(page);
    into.fill(0);
    if (typeof content !== 'string') content.copy(into);
    if (this.#written(page, this.nowMs)) into.writeUInt32LE(this.nowMs, 0);
    return true;
  }

  readonly time = {
    monotonicMs: () => this.nowMs,
    sleep: async (ms: number) => void (this.nowMs += ms),
  };
}
