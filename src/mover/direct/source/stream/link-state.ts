import type { SourceDataPath } from './data-path.ts';

/** A link that is back has first to send again what was kept; still for longer than this it is stuck, ms. */
const STUCK_MS = 10_000;

/** What was seen of the wire's links: a cut is the wire's own to repair, and it is heard over a link that stands. */
export class LinkState {
  /** When it had no link, and when it had one. */
  #cutAt = -Infinity;
  #linkAt = -Infinity;

  look({ isCut, hasLink }: Pick<SourceDataPath, 'isCut' | 'hasLink'>, nowMs: number): void {
    if (isCut) this.#cutAt = nowMs;
    if (hasLink) this.#linkAt = nowMs;
  }

  /** When the other mover was heard over it last, as it has a link of its own process; monotonic ms. */
  get heardAtMs(): number {
    return this.#linkAt;
  }

  /**
   * Whether bytes that have been stalled for `stillMs` are no reason to do anything: a cut of less than `graceMs` may be
   * the cause, or several with little between them, after which they have been stalled for longer than any.
   */
  hides(stillMs: number, graceMs: number, nowMs: number): boolean {
    return nowMs - this.#cutAt < STUCK_MS || stillMs < graceMs + STUCK_MS;
  }
}
