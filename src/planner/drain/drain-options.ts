import type { Plan, Trunk } from '../inventory.ts';

export interface RunningMove {
  readonly guest: string;
  readonly to: string;
  readonly elapsedSeconds: number;
  /** Rest of the current round; absent before the first round, or if unknown. */
  readonly leftBytes?: number;
  /** Age of the current round. Writes since its start add to `leftBytes`. */
  readonly roundSeconds?: number;
  readonly bytesPerSecond?: number;
}

export interface OtherMove {
  readonly from: string;
  readonly to: string;
  readonly bytes: number;
}

/** Observed rates of links as parts of their nominal rates, by the names of `BusiestLink`. */
export type LinkFactors = Readonly<Record<string, number>>;

export interface DrainOptions {
  /** Hosts to empty, in addition to draining ones in the inventory. */
  readonly hosts: readonly string[];
  readonly to?: readonly string[];
  /** Concurrent moves: in all, out of one host and into one. `out` and `in` override `perHost`. */
  readonly parallel?: number;
  readonly perHost?: number;
  readonly out?: number;
  readonly in?: number;
  /** Concurrent moves between two hosts, by `a>b`. */
  readonly between?: Readonly<Record<string, number>>;
  readonly trunks?: readonly Trunk[];
  /** Total rate between two hosts without a known trunk, by `a>b`, bytes/s. */
  readonly pairs?: ReadonlyMap<string, number>;
  /** Limit of one move on any link, bytes/s. */
  readonly mostPerMove?: number;
  /** When the hosts must be empty, s from now. */
  readonly deadlineSeconds?: number;
  readonly running?: readonly RunningMove[];
  /** Others' moves: of equal places, the one with fewer of them is better. */
  readonly others?: readonly OtherMove[];
  readonly linkFactors?: LinkFactors;
  /** Earlier destinations in order, kept while they are valid. */
  readonly before?: readonly { readonly guest: string; readonly to: string }[];
}

/** Predicted start and end of a move, s from now; start 0: running, or to start now. */
export interface Slot {
  readonly guest: string;
  readonly to: string;
  readonly running: boolean;
  readonly startSeconds: number;
  readonly endSeconds: number;
}

export interface Eta {
  readonly seconds: number;
  /** Range of four of five outcomes. */
  readonly low: number;
  readonly high: number;
}

export interface BusiestLink {
  /** `a, out`; `b, in`; or a trunk's name. */
  readonly name: string;
  readonly bytes: number;
  readonly bytesPerSecond: number;
}

export interface Deadline {
  readonly seconds: number;
  readonly met: boolean;
  readonly words: string;
}

/**
 * Moves that are not running, in order of start. Those to start now have start 0 in `timetable`; a new plan after each
 * end gives the next ones.
 */
export interface DrainPlan extends Plan {
  readonly parallel: number;
  readonly seconds: number;
  readonly late: readonly string[];
  readonly timetable: readonly Slot[];
  readonly eta: Eta;
  readonly linkFactors: LinkFactors;
  readonly busiest?: BusiestLink;
  readonly deadline?: Deadline;
}
