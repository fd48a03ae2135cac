import { RamFramer } from './records.ts';

/**
 * Post-copy's second connection (capability postcopy-preempt): RAM records without a header, for awaited pages.
 * Its blocks are named on the main channel.
 */
export class PreemptChannel extends RamFramer {
  #lost = false;

  protected step(bytes: Uint8Array, at: number, end: number): number {
    if (this.#lost) return this.#seek(bytes, at, end);
    const used = this.ramRecord(bytes, at, end);
    if (used !== 0) return used;
    this.#lost = true;
    this.note({ type: 'lost', atByte: this.position, why: 'not a RAM record' });
    return 0;
  }

  protected ramEnded(): void {
    this.note({ type: 'ram-section-end' });
  }

  /** The main channel has the list. */
  protected ramListBegins(): boolean {
    return false;
  }

  /** Searches for a record that names a block: a continuing record could be anything. */
  #seek(bytes: Uint8Array, at: number, end: number): number {
    for (let found = at; found < end; found += 1) {
      const placed = this.namedRecord(bytes, found, end);
      if (placed === 0 || (placed < 0 && this.ended)) continue;
      if (found > at) {
        this.span('unknown', bytes, at, found);
        return found - at;
      }
      if (placed < 0) return placed;
      this.#lost = false;
      this.note({ type: 'found', atByte: this.position });
      return 0;
    }
    this.span('unknown', bytes, at, end);
    return end - at;
  }
}
