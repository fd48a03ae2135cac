/** Of a rate that is reported, the weight of the last look. */
const FRESH = 0.3;
/** A look so soon after another one says nothing about the rate, ms. */
const TOO_SOON_MS = 50;

/** So much may be left of a copy that is as good as whole. */
const NEARLY_BYTES = 64 * 1024 ** 2;

/** How far a copy is, and how fast. */
export class Figures {
  copiedBytes = 0;
  totalBytes = 0;
  /** bytes/s */
  rate = 0;
  #atMs: number | undefined;
  /** What there was to copy at first; it grows with what the guest writes. */
  #firstBytes = 0;

  /** False where it says nothing new. */
  measure(copiedBytes: number, totalBytes: number, atMs: number): boolean {
    // The end of the job says nothing about what it copied.
    if (totalBytes === 0) return false;
    const passedMs = this.#atMs === undefined ? undefined : atMs - this.#atMs;
    if (passedMs !== undefined && passedMs < TOO_SOON_MS) return false;
    if (passedMs !== undefined) {
      const now = (Math.max(0, copiedBytes - this.copiedBytes) / passedMs) * 1000;
      this.rate = this.rate === 0 ? now : this.rate * (1 - FRESH) + now * FRESH;
    }
    this.#atMs = atMs;
    if (this.#firstBytes === 0) this.#firstBytes = totalBytes;
    this.copiedBytes = copiedBytes;
    this.totalBytes = totalBytes;
    return true;
  }

  /** As much was copied as there was at first, or little is left. */
  get nearly(): boolean {
    if (this.totalBytes === 0) return false;
    const left = this.totalBytes - this.copiedBytes;
    return left <= NEARLY_BYTES || this.copiedBytes >= this.#firstBytes;
  }

  /** Until all of it is copied, ms; undefined while that cannot be known. */
  get etaMs(): number | undefined {
    if (this.rate <= 0) return undefined;
    return (Math.max(0, this.totalBytes - this.copiedBytes) / this.rate) * 1000;
  }
}
