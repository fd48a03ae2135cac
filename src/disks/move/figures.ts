/** Weight of the last look in the reported rate. */
const FRESH = 0.3;
/** Minimum distance of looks for a rate, ms. */
const TOO_SOON_MS = 50;

/** Remainder below which a copy counts as nearly complete. */
const NEARLY_BYTES = 64 * 1024 ** 2;

export class Figures {
  copiedBytes = 0;
  totalBytes = 0;
  /** bytes/s */
  rate = 0;
  #atMs: number | undefined;
  #firstBytes = 0;

  /** False if there is nothing new. */
  measure(copiedBytes: number, totalBytes: number, atMs: number): boolean {
    // An ended job does not report its amount.
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

  /** The initial amount was copied, or little is left. */
  get nearly(): boolean {
    if (this.totalBytes === 0) return false;
    const left = this.totalBytes - this.copiedBytes;
    return left <= NEARLY_BYTES || this.copiedBytes >= this.#firstBytes;
  }

  /** Time to the end of the copy, ms; undefined if unknown. */
  get etaMs(): number | undefined {
    if (this.rate <= 0) return undefined;
    return (Math.max(0, this.totalBytes - this.copiedBytes) / this.rate) * 1000;
  }
}
