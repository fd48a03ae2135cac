import type { Plan, Trunk } from '../inventory.ts';

/** A move that is under way, as its migration reports it. */
export interface RunningMove {
  readonly guest: string;
  readonly to: string;
  readonly elapsedSeconds: number;
  /** Of its memory, what the current round has still to send; absent before the first round, or where nobody knows. */
  readonly leftBytes?: number;
  /** How long the current round has lasted. What is written meanwhile comes on top of `leftBytes`. */
  readonly roundSeconds?: number;
  /** What goes over the link for it at this moment. */
  readonly bytesPerSecond?: number;
}

/** A move that is not of this drain. */
export interface OtherMove {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
}

/** What links carry as the drain sees it, as a part of what is said of them; by the names of `BusiestLink`. */
export type LinkFactors = Readonly<Record<string, number>>;

export interface DrainOptions {
  /** Hosts to empty, besides those that the inventory says are draining. */
  readonly hosts: readonly string[];
  /** Hosts that may take guests; all where absent. */
  readonly to?: readonly string[];
  /** Moves at a time: in all; out of one host and into one. `out` and `in` override `perHost`. */
  readonly parallel?: number;
  readonly perHost?: number;
  readonly out?: number;
  readonly in?: number;
  /** Moves at a time from one host to another, by `a>b`. */
  readonly between?: Readonly<Record<string, number>>;
  readonly trunks?: readonly Trunk[];
  /** By `a>b`: what moves from one host to another get together, where no trunk between them is known, bytes/s. */
  readonly pairs?: ReadonlyMap<string, number>;
  /** What one move takes at most, whatever the link, bytes/s. */
  readonly mostPerMove?: number;
  /** When the hosts must be empty, s from now. */
  readonly deadlineSeconds?: number;
  /** For a plan that is made again as a drain goes: what runs. */
  readonly running?: readonly RunningMove[];
  /** What others move meanwhile: of places that are equal, the one to which least of it goes is the better one. */
  readonly others?: readonly OtherMove[];
  /** `linkFactors` of the plan before. */
  readonly linkFactors?: LinkFactors;
  /** Where guests were to go by the plan before, in its order: kept where it still holds. */
  readonly before?: readonly { readonly guest: string; readonly to: string }[];
}

/** When a move starts and ends by prediction, s from now; 0 for the start of one that runs, or is to start now. */
export interface Slot {
  readonly guest: string;
  readonly to: string;
  readonly running: boolean;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface Eta {
  readonly seconds: number;
  /** Four of five outcomes are expected between these. */
  readonly low: number;
  readonly high: number;
}

/** The link that has most to do for what it carries. */
export interface BusiestLink {
  /** `a, out`; `b, in`; or a trunk's name. */
  readonly name: string;
  readonly bytes: number;
  readonly bytesPerSecond: number;
}

export interface Deadline {
  readonly seconds: number;
  readonly met: boolean;
  /** The arithmetic. */
  readonly words: string;
}

/**
 * The moves that are not under way, in the order in which they start. Those to start now have 0 as their start in
 * `timetable`; a new plan after each end, with what runs, says which are next.
 */
export interface DrainPlan extends Plan {
  /** The most that run at a time by this plan. */
  readonly parallel: number;
  /** Until the last move ends, by prediction. */
  readonly seconds: number;
  /** Guests whose move ends after the deadline, by prediction. */
  readonly late: readonly string[];
  readonly timetable: readonly Slot[];
  readonly eta: Eta;
  readonly linkFactors: LinkFactors;
  readonly busiest?: BusiestLink;
  readonly deadline?: Deadline;
}
