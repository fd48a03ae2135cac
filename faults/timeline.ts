/** What the witness has seen of one guest on its hosts, and what follows from it. Pure. */

/** When a copy began and ceased to run, by its QEMU's own clock stamps, or a look at it. */
export interface RunMark {
  readonly host: string;
  readonly atMs: number;
  readonly runs: boolean;
}

export interface Span {
  readonly host: string;
  readonly fromMs: number;
  readonly toMs: number;
}

/** The spans in which each host's copy ran. A span that is still open ends at `untilMs`. */
export function spans(marks: readonly RunMark[], untilMs: number): Span[] {
  const open = new Map<string, number>();
  const found: Span[] = [];
  for (const { host, atMs, runs } of marks.toSorted((left, right) => left.atMs - right.atMs)) {
    const from = open.get(host);
    if (runs && from === undefined) open.set(host, atMs);
    if (!runs && from !== undefined) {
      found.push({ host, fromMs: from, toMs: atMs });
      open.delete(host);
    }
  }
  for (const [host, fromMs] of open) found.push({ host, fromMs, toMs: untilMs });
  return found.toSorted((left, right) => left.fromMs - right.fromMs);
}

/** Stamps of two processes on one machine may differ by no more than this, ms. */
const STAMP_MS = 1;

/** Two spans of different hosts that overlap: two copies ran. */
export function bothRan(found: readonly Span[]): Span | undefined {
  for (const left of found) {
    for (const right of found) {
      if (left.host === right.host) continue;
      const fromMs = Math.max(left.fromMs, right.fromMs);
      const toMs = Math.min(left.toMs, right.toMs);
      if (toMs - fromMs > STAMP_MS) return { host: `${left.host} and ${right.host}`, fromMs, toMs };
    }
  }
  return undefined;
}

/** The longest time in which no copy ran, between the first and the last moment given, ms. */
export function longestDarkMs(found: readonly Span[], fromMs: number, untilMs: number): number {
  let litUntil = fromMs;
  let longest = 0;
  for (const span of found) {
    longest = Math.max(longest, Math.min(span.fromMs, untilMs) - litUntil);
    litUntil = Math.max(litUntil, span.toMs);
  }
  return Math.round(Math.max(longest, untilMs - litUntil, 0));
}

/** The first moment from `fromMs` on at which a copy runs; undefined when none does again. */
export function runsAgainAt(found: readonly Span[], fromMs: number): number | undefined {
  for (const span of found) {
    if (span.toMs > fromMs) return Math.max(span.fromMs, fromMs);
  }
  return undefined;
}
