/**
 * Limit of bytes in flight over all connections of a session, so that the link is full and the queue short: the
 * bytes delivered in a round trip plus 20 ms. Both are measured by acknowledgements.
 */
const QUEUE_MS = 20;
const MIN_FLIGHT_BYTES = 128 * 1024;
const MAX_FLIGHT_BYTES = 64 * 1024 * 1024;
/** Minimum time of a rate sample, which otherwise takes a round trip. */
const MIN_SAMPLE_MS = 50;
const SAMPLES = 10;
/** While the rate grows by this per sample, the path is not full, and the limit doubles. */
const GROWTH = 1.25;
const PLATEAU = 2;
/**
 * Validity of the shortest round trip, ms; then the queue is drained to measure it again. This happens sooner if
 * all round trips were longer than the queue explains, because the path has become longer.
 */
const ROUND_TRIP_LIVES_MS = 30_000;
const LONGER_MS = 1000;
/** Minimum interval of that check, because on a thin link even the minimum in flight takes long. */
const LOOK_AGAIN_MS = 5000;
const PROBE_MS = 200;

export class Flight {
  #bytes = 0;
  #samples: number[] = [];
  #bytesPerS = 0;
  #sampleBytes = 0;
  #sampleFromMs: number | undefined;
  #starved = false;
  #growing = true;
  #plateau = 0;
  #best = 0;
  #growLimit = MIN_FLIGHT_BYTES;
  #shortest: { ms: number; atMs: number } | undefined;
  #longerFromMs: number | undefined;
  #probe: { ms: number; readonly untilMs: number } | undefined;

  get bytes(): number {
    return this.#bytes;
  }

  /** Rate of the link; 0 if unknown. */
  get bytesPerS(): number {
    return this.#bytesPerS;
  }

  /** Round trip without queues; 0 if unknown. */
  get roundTripMs(): number {
    return this.#shortest?.ms ?? 0;
  }

  get limitBytes(): number {
    if (this.#growing) return this.#growLimit;
    const { bytesPerS, roundTripMs } = this;
    if (this.#probe !== undefined) {
      return Math.max(MIN_FLIGHT_BYTES / 2, (bytesPerS * roundTripMs * 0.75) / 1000);
    }
    const limit = (bytesPerS * (roundTripMs + QUEUE_MS)) / 1000;
    return Math.min(Math.max(limit, MIN_FLIGHT_BYTES), MAX_FLIGHT_BYTES);
  }

  sent(bytes: number, nowMs: number): void {
    if (this.#bytes === 0) this.#startSample(nowMs);
    this.#bytes += bytes;
  }

  /** `delayMs`: time since the last of them was sent. */
  arrived(bytes: number, delayMs: number, nowMs: number): void {
    this.#bytes -= bytes;
    this.#sampleBytes += bytes;
    this.roundTrip(delayMs, nowMs);
    const passedMs = nowMs - (this.#sampleFromMs ?? nowMs);
    if (passedMs < Math.max(MIN_SAMPLE_MS, this.roundTripMs)) return;
    this.#sample((this.#sampleBytes * 1000) / passedMs);
    this.#startSample(nowMs);
  }

  lost(bytes: number): void {
    this.#bytes -= bytes;
  }

  roundTrip(ms: number, nowMs: number): void {
    const shortest = this.#shortest;
    if (shortest === undefined || ms <= shortest.ms) {
      this.#shortest = { ms, atMs: nowMs };
      this.#probe = undefined;
    } else if (this.#probe !== undefined) {
      this.#probe.ms = Math.min(this.#probe.ms, ms);
      if (nowMs < this.#probe.untilMs) return;
      this.#shortest = { ms: this.#probe.ms, atMs: nowMs };
      this.#probe = undefined;
    } else if (nowMs - shortest.atMs > ROUND_TRIP_LIVES_MS || this.#isLonger(ms, nowMs)) {
      this.#longerFromMs = undefined;
      this.#probe = { ms, untilMs: nowMs + PROBE_MS + 2 * ms };
    }
  }

  #isLonger(ms: number, nowMs: number): boolean {
    const { ms: shortestMs, atMs } = this.#shortest ?? { ms, atMs: nowMs };
    if (this.#growing || ms <= shortestMs + 2 * QUEUE_MS) {
      this.#longerFromMs = undefined;
      return false;
    }
    this.#longerFromMs ??= nowMs;
    return nowMs - this.#longerFromMs > LONGER_MS && nowMs - atMs > LOOK_AGAIN_MS;
  }

  /** There is nothing to send: arrivals now do not show the link's capacity. */
  idle(): void {
    const fills = this.#growing ? this.limitBytes / 2 : (this.bytesPerS * this.roundTripMs) / 1000;
    if (this.#bytes <= fills) this.#starved = true;
  }

  /** The path may carry more: a limit was raised or a connection added. */
  grow(): void {
    this.#growLimit = Math.min(this.limitBytes * 2, MAX_FLIGHT_BYTES);
    this.#growing = true;
    this.#plateau = 0;
    this.#best = this.bytesPerS;
  }

  #startSample(nowMs: number): void {
    this.#sampleFromMs = nowMs;
    this.#sampleBytes = 0;
    this.#starved = false;
  }

  #sample(bytesPerS: number): void {
    const known = this.bytesPerS;
    if (this.#starved && (known === 0 || bytesPerS <= known)) return;
    this.#samples.push(bytesPerS);
    if (this.#samples.length > SAMPLES) this.#samples.shift();
    const sorted = this.#samples.toSorted((a, b) => b - a);
    // One sample may come from a delayed burst; two rarely do.
    this.#bytesPerS = sorted[sorted.length > 2 ? 1 : 0] ?? 0;
    if (!this.#growing || this.#starved) return;
    if (bytesPerS > this.#best * GROWTH) {
      this.#best = bytesPerS;
      this.#plateau = 0;
      this.#growLimit = Math.min(this.#growLimit * 2, MAX_FLIGHT_BYTES);
      return;
    }
    this.#plateau += 1;
    if (this.#plateau >= PLATEAU) this.#growing = false;
  }
}
