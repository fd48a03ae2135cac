import type { MemorySample, MigrationSettings } from '../../protocol/public/migration.ts';
import type { PlannedStep } from '../../protocol/public/prediction.ts';
import type { SteeringMeasure } from '../../protocol/public/steering.ts';
import { LONG_LOOK_SHARE } from '../steering/first-round.ts';
import { plannedDowntimeMs, presentDowntimeMs } from '../steering/downtime.ts';
import { steer } from '../steering/steering.ts';
import type { Decision } from '../steering/decision.ts';
import { strategyOf } from '../steering/strategies.ts';
import { afterMeasure, afterRound, type SteeringTrace } from '../steering/trace.ts';
import { THROTTLE_PERIODS, THROTTLE_PERIOD_MS } from './parameters.ts';
import type { Load } from './load.ts';

/** Applies steering to simulated rounds, with the decision function of real migrations. Pure. */

export type SteeredStep = PlannedStep & Pick<Decision, 'hint'>;

export type Policy = Pick<
  MigrationSettings,
  'mode' | 'maxDowntimeMs' | 'maxBandwidth' | 'hybridRounds' | 'steering'
> & {
  /** Time limit for memory alone, ms. */
  readonly timeoutMs: number;
  /** Link time of bytes queued when the guest stops, before its last pages, ms; absent: none. */
  readonly underWayMs?: number;
  /** Settings that the hypervisor can change in a running stream; absent: all that the strategy uses. */
  readonly levers?: readonly SteeringMeasure[] | undefined;
};

export interface RoundsSoFar {
  readonly rounds: number;
  readonly memoryMs: number;
  /** Duration of the guest's last round, and the amount dirtied in it. */
  readonly lastMs: number;
  readonly lastDirtied: number;
}

interface EndedRound extends RoundsSoFar {
  /** Remainder to send, ms. */
  readonly pendingMs: number;
}

/** After this many rounds without a decision, none will follow. */
const SETTLED_ROUNDS = 50;

/** Times of a mover's checks, which are continuous, as shares of the first round. */
const LOOKED_AT = [LONG_LOOK_SHARE, 0.5, 0.7, 0.9] as const;

export class SteeredRounds {
  readonly #load: Load;
  readonly #policy: Policy;
  readonly #strategy;
  readonly #levers;
  readonly #steps: SteeredStep[] = [];
  #trace: SteeringTrace | undefined;
  #quiet = 0;
  /** Throttling by the hypervisor, percent. */
  #throttled = 0;
  /** Dirty measurements since the throttle was set, and the time of the last. */
  #looks = 0;
  #lookedMs = 0;

  constructor(load: Load, policy: Policy) {
    const strategy = strategyOf(policy);
    this.#load = load;
    this.#policy = policy;
    this.#strategy = strategy;
    this.#levers = policy.levers ?? strategy.measures;
    const { memoryBytes } = load;
    this.#trace = afterRound(
      undefined,
      this.#sample({ rounds: 0, memoryMs: 0, lastMs: 1, lastDirtied: 0 }, memoryBytes),
    );
  }

  get isPostcopyAtOnce(): boolean {
    const { precopyRounds, measures } = this.#strategy;
    const { mode } = this.#policy;
    const can = [measures, this.#levers].every((each) => each.includes('postcopy'));
    return precopyRounds === 0 && can && mode !== 'precopy';
  }

  /** Start of post-copy in the first round, from the observed writes, ms after memory began to flow. */
  postcopyInFirstRound(): number | undefined {
    const { memoryBytes, contentBytes, passMs, writes } = this.#load;
    if (writes?.long === undefined) return undefined;
    for (const share of LOOKED_AT) {
      const memoryMs = share * passMs;
      if (memoryMs < writes.long.windowMs || memoryMs > this.#policy.timeoutMs) continue;
      const now = { rounds: 0, memoryMs, lastMs: 1, lastDirtied: 0 };
      const sample = {
        ...this.#sample(now, memoryBytes * (1 - share)),
        transferredBytes: Math.round(contentBytes * share),
      };
      const decision = this.#decide(sample);
      if (decision?.what === 'postcopy' && this.#take(decision, sample) === 'postcopy')
        return memoryMs;
    }
    return undefined;
  }

  get downtimeMs(): number {
    const { maxDowntimeMs, underWayMs = 0 } = this.#policy;
    const present = presentDowntimeMs(this.#strategy, maxDowntimeMs, this.#trace);
    return plannedDowntimeMs(present, underWayMs);
  }

  /** Speed of the guest; 1: not throttled. */
  get speed(): number {
    return 1 - this.#throttled / 100;
  }

  get steps(): readonly SteeredStep[] {
    return this.#steps;
  }

  get isSettled(): boolean {
    const { measures, giveUpRounds } = this.#strategy;
    if (measures.length === 0 && giveUpRounds === undefined) return true;
    return this.#quiet > SETTLED_ROUNDS;
  }

  /** Handles the end of a round that did not suffice; returns what ends pre-copy. */
  afterRound(ended: EndedRound): 'postcopy' | 'give-up' | undefined {
    if (this.isSettled) return undefined;
    const { memoryBytes, againMsPerByte } = this.#load;
    const { memoryMs, pendingMs } = ended;
    this.#throttle(memoryMs);
    const sample = this.#sample(ended, Math.min(memoryBytes, pendingMs / againMsPerByte));
    this.#trace = afterRound(this.#trace, sample);
    const decision = this.#decide(sample);
    this.#quiet += 1;
    if (decision === undefined) return undefined;
    return this.#take(decision, sample);
  }

  #decide(sample: MemorySample): Decision | undefined {
    const { timeoutMs, mode, maxDowntimeMs, maxBandwidth, underWayMs = 0 } = this.#policy;
    return steer(this.#strategy, {
      sample,
      trace: this.#trace,
      levers: this.#levers,
      settings: { mode, maxDowntimeMs, maxBandwidth },
      leftMs: timeoutMs - sample.totalMs,
      underWayMs,
      writes: this.#load.writes,
    });
  }

  #take(
    decision: Decision,
    { round, totalMs: atMs }: MemorySample,
  ): 'postcopy' | 'give-up' | undefined {
    const { inputs: _, ...step } = decision;
    const { what, why, change } = step;
    this.#steps.push({ round, atMs, ...step });
    if (what === 'postcopy' || what === 'give-up') return what;
    this.#trace = afterMeasure(this.#trace, why, change);
    this.#quiet = 0;
    this.#looks = 0;
    this.#lookedMs = atMs;
    return undefined;
  }

  /** Hypervisors measure dirtying at the end of a round, at most once a second, and throttle after two measurements. */
  #throttle(atMs: number): void {
    if (atMs - this.#lookedMs < THROTTLE_PERIOD_MS) return;
    this.#lookedMs = atMs;
    this.#looks += 1;
    if (this.#looks >= THROTTLE_PERIODS) this.#throttled = this.#trace?.throttlePercent ?? 0;
  }

  #sample(
    { rounds, memoryMs, lastMs, lastDirtied }: RoundsSoFar,
    remainingBytes: number,
  ): MemorySample {
    const { memoryBytes, againMsPerByte } = this.#load;
    return {
      totalBytes: memoryBytes,
      remainingBytes: Math.round(remainingBytes),
      transferredBytes: 0,
      skippedBytes: 0,
      rate: Math.round(1000 / againMsPerByte),
      dirtyRate: Math.round((lastDirtied * 1000) / Math.max(lastMs, 1)),
      round: rounds + 1,
      totalMs: Math.round(memoryMs),
      pageRequests: 0,
      throttlePercent: this.#throttled,
    };
  }
}
