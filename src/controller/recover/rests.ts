/** An ask that takes longer causes a pause, ms; the checks of a cold move take seconds. */
export const SLOW_MS = 20_000;
/** Length of a pause in multiples of the ask, so that a slow host takes a fifth of another's time. */
const REST = 4;
/** The source itself pauses after this many consecutive slow asks with different destinations. */
const MAX_SLOW = 4;

interface SourceRests {
  readonly until: Map<string, number>;
  slow: number;
  untilMs: number;
}

/**
 * A slow ask pauses only this pair of hosts, because the source may be waiting for the destination. A source that is
 * slow with several destinations in a row pauses itself.
 */
export class Rests {
  readonly #sources = new Map<string, SourceRests>();

  note({ host, to }: { host: string; to: string }, tookMs: number, nowMs: number): number {
    const known = this.#sources.get(host);
    if (tookMs < SLOW_MS) {
      if (known !== undefined) known.slow = 0;
      return 0;
    }
    const source = known ?? { until: new Map<string, number>(), slow: 0, untilMs: 0 };
    this.#sources.set(host, source);
    const restMs = REST * tookMs;
    source.until.set(to, nowMs + restMs);
    source.slow += 1;
    if (source.slow < MAX_SLOW) return 0;
    source.untilMs = nowMs + restMs;
    return restMs;
  }

  isResting(host: string, nowMs: number): boolean {
    return (this.#sources.get(host)?.untilMs ?? 0) > nowMs;
  }

  destinations(host: string, nowMs: number): ReadonlySet<string> {
    const source = this.#sources.get(host);
    if (source === undefined) return NONE;
    for (const [to, untilMs] of source.until) if (untilMs <= nowMs) source.until.delete(to);
    return new Set(source.until.keys());
  }

  keep(hosts: ReadonlySet<string>): void {
    for (const host of this.#sources.keys()) if (!hosts.has(host)) this.#sources.delete(host);
  }
}

const NONE: ReadonlySet<string> = new Set();
