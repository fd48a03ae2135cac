/** An ask that takes longer gives its hosts a rest, ms: the checks of a cold move take seconds. */
export const SLOW_MS = 20_000;
/** The rest is this many times as long as the ask, so that a slow host takes a fifth of the time of another one. */
const REST = 4;
/** Slow asks in a row, each of another destination, until the source itself is not asked for a while. */
const MAX_SLOW = 4;

interface SourceRests {
  /** By destination, ms. */
  readonly until: Map<string, number>;
  slow: number;
  untilMs: number;
}

/**
 * Backs off hosts that take long. The source may wait for the destination, so a slow ask gives a rest to this pair of hosts:
 * neither can keep others from being asked. Only a source that is slow with one destination after another rests itself.
 */
export class Rests {
  readonly #sources = new Map<string, SourceRests>();

  /** Notes how long an ask took. Returns how long its source rests now, ms; 0: it does not. */
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

  /** Destinations about which that source is not asked now. */
  destinations(host: string, nowMs: number): ReadonlySet<string> {
    const source = this.#sources.get(host);
    if (source === undefined) return NONE;
    for (const [to, untilMs] of source.until) if (untilMs <= nowMs) source.until.delete(to);
    return new Set(source.until.keys());
  }

  /** Forgets all other sources. */
  keep(hosts: ReadonlySet<string>): void {
    for (const host of this.#sources.keys()) if (!hosts.has(host)) this.#sources.delete(host);
  }
}

const NONE: ReadonlySet<string> = new Set();
