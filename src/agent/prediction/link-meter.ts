import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { withDeadline } from '../../deadline.ts';
import {
  LINK_KEPT_MS,
  MAX_LINK_BYTES,
  MAX_PAD,
  type LinkAnswer,
} from '../../protocol/peer/link.ts';
import type { LinkMeasure } from '../../protocol/public/prediction.ts';
import { toGodwitError } from '../../errors.ts';

const AT_ONCE = 4;
/** Questions without content for the round trip; the first opens the connection. */
const ROUND_TRIPS = 6;
const SEND_MS = 1200;
/** Bytes sent before this measure the start of the connections, ms. */
const START_MS = 250;
/** Target time of a question without its round trip, ms; it sets the size of the next question. */
const QUESTION_MS = 60;
/** Round trips until a connection reaches its full window. */
const WARMING_ROUND_TRIPS = 2;
/** If this share of the parallel bytes is in flight, the round trip limits the rate, not the link. */
const WAITING_SHARE = 0.6;
/** If the second half carried more than the first by this factor, the connections were still speeding up. */
const GROWING = 1.25;
const FIRST_PAD = 16 * 1024;
const MEASURE_MS = 5000;
const QUESTION_DEADLINE_MS = 4000;
/** An agent that ran, or waited for a processor, for this share of the time was the bottleneck. */
const BUSY_SHARE = 0.7;
const MAX_HOSTS = 1024;

export type MeterResult = { readonly link: LinkMeasure } | { readonly why: string };

export interface LinkMeterDependencies {
  readonly clock: Clock;
  readonly isBusy: () => boolean;
  readonly ask: (
    to: string,
    pad: string,
    options: { readonly signal: AbortSignal; readonly deadlineMs: number },
  ) => Promise<LinkAnswer>;
  /** Time of this process running or waiting for a processor, ms; absent: unknown. */
  readonly workMs?: () => number;
}

class Busy extends Error {}

/**
 * Measures the link to another host with at most 64 MB, and keeps the result for ten minutes. Never measures while a
 * migration of either host is running.
 */
export class LinkMeter {
  readonly #deps: LinkMeterDependencies;
  readonly #kept = new Map<string, { readonly link: LinkMeasure; readonly atMs: number }>();
  readonly #underWay = new Map<string, Promise<MeterResult>>();

  constructor(deps: LinkMeterDependencies) {
    this.#deps = deps;
  }

  known(to: string): LinkMeasure | undefined {
    const known = this.#kept.get(to);
    const nowMs = this.#deps.clock.monotonicMs();
    return known !== undefined && nowMs - known.atMs < LINK_KEPT_MS ? known.link : undefined;
  }

  async measure(to: string, signal: AbortSignal): Promise<MeterResult> {
    const known = this.known(to);
    if (known !== undefined) return { link: known };
    const under = this.#underWay.get(to) ?? this.#begin(to);
    return withDeadline(`to measure the link to ${to}`, MEASURE_MS + 1000, signal, () => under);
  }

  #begin(to: string): Promise<MeterResult> {
    const work = this.#now(to).finally(() => this.#underWay.delete(to));
    this.#underWay.set(to, work);
    return work;
  }

  async #now(to: string): Promise<MeterResult> {
    const { clock, isBusy } = this.#deps;
    if (isBusy()) return { why: 'a migration of this host uses its link' };
    try {
      const { roundTripMs, ...found } = await withDeadline(
        `to measure the link to ${to}`,
        MEASURE_MS,
        undefined,
        async (signal) => {
          const roundTrip = await this.#roundTrip(to, signal);
          return { ...(await this.#rate(to, roundTrip, signal)), roundTripMs: roundTrip };
        },
      );
      const at = new Date(clock.wallMs()).toISOString();
      const link = { ...found, how: 'measured', roundTripMs, at } as const;
      this.#keep(to, link);
      return { link };
    } catch (thrown) {
      if (thrown instanceof Busy) return { why: thrown.message };
      return { why: toGodwitError(thrown).message };
    }
  }

  async #ask(to: string, pad: string, signal: AbortSignal): Promise<number | undefined> {
    const { ask, isBusy } = this.#deps;
    const { busy, workMs } = await ask(to, pad, { signal, deadlineMs: QUESTION_DEADLINE_MS });
    if (busy !== undefined) throw new Busy(`${to} did not take what was sent: ${busy}`);
    if (isBusy()) throw new Busy('a migration of this host has begun meanwhile');
    return workMs;
  }

  /** The minimum of several; longer ones waited for a processor. */
  async #roundTrip(to: string, signal: AbortSignal): Promise<number> {
    const { clock } = this.#deps;
    let least = Infinity;
    for (let index = 0; index < ROUND_TRIPS; index += 1) {
      const beganMs = clock.monotonicMs();
      await this.#ask(to, '', signal);
      least = Math.min(least, clock.monotonicMs() - beganMs);
    }
    return Math.round(least * 100) / 100;
  }

  /** bytes/s after the start; `isLeast`: the link was not the bottleneck. */
  async #rate(
    to: string,
    roundTripMs: number,
    signal: AbortSignal,
  ): Promise<Pick<LinkMeasure, 'rate' | 'isLeast'>> {
    const { clock, workMs } = this.#deps;
    const beganMs = clock.monotonicMs();
    const here = new Work(workMs?.());
    const there = new Work();
    const content = randomBytes(MAX_PAD / 2).toString('hex');
    const taken: { readonly atMs: number; readonly bytes: number }[] = [];
    let sent = ROUND_TRIPS * 1024;
    let length = FIRST_PAD;
    const sender = async (): Promise<void> => {
      while (clock.monotonicMs() - beganMs < SEND_MS && sent + length <= MAX_LINK_BYTES) {
        const pad = content.slice(0, length);
        sent += pad.length;
        const askedMs = clock.monotonicMs();
        const worked = await this.#ask(to, pad, signal);
        const atMs = clock.monotonicMs();
        there.until(worked);
        taken.push({ atMs: atMs - beganMs, bytes: pad.length });
        const longMs = QUESTION_MS + WARMING_ROUND_TRIPS * roundTripMs;
        if (atMs - askedMs < longMs) length = Math.min(MAX_PAD, length * 2);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sender));
    const passedMs = clock.monotonicMs() - beganMs;
    here.until(workMs?.());
    const rate = rateOf(taken);
    const isBusy = [here, there].some(({ ms }) => ms > passedMs * BUSY_SHARE);
    const underWay = (rate * roundTripMs) / 1000;
    const isWaiting = underWay > AT_ONCE * length * WAITING_SHARE;
    const isLeast = isBusy || isWaiting || isGrowing(taken);
    return { rate, ...(isLeast ? { isLeast } : {}) };
  }

  #keep(to: string, link: LinkMeasure): void {
    this.#kept.delete(to);
    this.#kept.set(to, { link, atMs: this.#deps.clock.monotonicMs() });
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_HOSTS && oldest !== undefined) this.#kept.delete(oldest);
  }
}

class Work {
  #from: number | undefined;
  #to = 0;

  constructor(from?: number) {
    this.#from = from;
  }

  until(workMs: number | undefined): void {
    if (workMs === undefined) return;
    this.#from ??= workMs;
    this.#to = Math.max(this.#to, workMs);
  }

  get ms(): number {
    return this.#from === undefined ? 0 : Math.max(0, this.#to - this.#from);
  }
}

type ByteSamples = readonly { readonly atMs: number; readonly bytes: number }[];

function isGrowing(taken: ByteSamples): boolean {
  const half = (START_MS + SEND_MS) / 2;
  const [first, second] = [
    taken.filter(({ atMs }) => atMs < half),
    taken.filter(({ atMs }) => atMs >= half),
  ];
  return second.length > 2 * AT_ONCE && rateOf(second) > rateOf(first) * GROWING;
}

/**
 * bytes/s from the first full-length answer after the start to the last answer. On a long line the shorter answers
 * before it left the line idle. Uses all answers if few came after the start.
 */
export function rateOf(taken: ByteSamples): number {
  const later = taken.filter(({ atMs }) => atMs >= START_MS);
  const full = fromTheLongest(later);
  const counted = full.length > AT_ONCE ? full : later;
  const isStarted = counted.length > (counted === full ? AT_ONCE : 2 * AT_ONCE);
  // The bytes that arrived at the beginning were sent before it.
  const [from, ...rest] = isStarted ? counted : [{ atMs: 0, bytes: 0 }, ...taken];
  const passedMs = (rest.at(-1)?.atMs ?? 0) - (from?.atMs ?? 0);
  const bytes = rest.reduce((sum, each) => sum + each.bytes, 0);
  return passedMs > 0 ? Math.round((bytes * 1000) / passedMs) : 0;
}

function fromTheLongest(taken: ByteSamples): ByteSamples {
  const longest = Math.max(0, ...taken.map(({ bytes }) => bytes));
  return taken.slice(taken.findIndex(({ bytes }) => bytes === longest));
}
