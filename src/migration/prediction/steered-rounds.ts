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

/** What the steering of a migration does about its simulated rounds: the same function decides. Pure. */

/** A step, and the hint that comes with giving up. */
export type SteeredStep = PlannedStep & Pick<Decision, 'hint'>;

export type Policy = Pick<
  MigrationSettings,
  'mode' | 'maxDowntimeMs' | 'maxBandwidth' | 'hybridRounds' | 'steering'
> & {
  /** For memory alone, ms. */
  readonly timeoutMs: number;
  /** For how long the link has work when the guest stops, before it comes to its last pages, ms; absent: none. */
  readonly underWayMs?: number;
  /** What the hypervisor lets one change of a stream that runs; absent: whatever the strategy asks for. */
  readonly levers?: readonly SteeringMeasure[] | undefined;
};

/** How far the rounds have come. */
export interface RoundsSoFar {
  readonly rounds: number;
  readonly memoryMs: number;
  /** The last round that the guest ran through: how long it took, and how much was dirtied in it. */
  readonly lastMs: number;
  readonly lastDirtied: number;
}

/** A round that has ended. */
interface EndedRound extends RoundsSoFar {
  /** What is still to send, ms. */
  readonly pendingMs: number;
}

/** After so many rounds in which it decided nothing it will decide nothing more. */
const SETTLED_ROUNDS = 50;

/** A mover looks all the time: when it may first know enough, and later on, as a share of the first round. */
const LOOKED_AT = [LONG_LOOK_SHARE, 0.5, 0.7, 0.9] as const;

export class SteeredRounds {
  readonly #load: Load;
  readonly #policy: Policy;
  readonly #strategy;
  readonly #levers;
  readonly #steps: SteeredStep[] = [];
  #trace: SteeringTrace | undefined;
  /** Rounds since the last decision. */
  #quiet = 0;
  /** As far as the hypervisor has slowed the guest down, percent. */
  #throttled = 0;
  /** Of its looks at what the guest dirties: how many since the throttle was set, and when the last was. */
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

  /** How long after memory began to flow post-copy follows in the first round, by what a mover has seen until then, ms. */
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

  /** That pre-copy may plan for at present. */
  get downtimeMs(): number {
    const { maxDowntimeMs, underWayMs = 0 } = this.#policy;
    const present = presentDowntimeMs(this.#strategy, maxDowntimeMs, this.#trace);
    return plannedDowntimeMs(present, underWayMs);
  }

  /** Of the guest; 1: nobody slows it down. */
  get speed(): number {
    return 1 - this.#throttled / 100;
  }

  get steps(): readonly SteeredStep[] {
    return this.#steps;
  }

  /** Nothing more is decided. */
  get isSettled(): boolean {
    const { measures, giveUpRounds } = this.#strategy;
    if (measures.length === 0 && giveUpRounds === undefined) return true;
    return this.#quiet > SETTLED_ROUNDS;
  }

  /** A round has ended, and the guest cannot be stopped yet; returns what ends pre-copy. */
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

  /** Hypervisors look what the guest dirties at the end of a round, once a second at most, and slow it down by two looks. */
  #throttle(atMs: number): void {
    if (atMs - this.#lookedMs < THROTTLE_PERIOD_MS) return;
    this.#lookedMs = atMs;
    this.#looks += 1;
    if (this.#looks >= THROTTLE_PERIODS) this.#throttled = this.#trace?.throttlePercent ?? 0;
  }

  /** As a look at the round that begins shows it. */
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
