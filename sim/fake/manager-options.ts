import type { Clock } from '../../src/clock.ts';
import type { CopiedDisk, TaskFigures } from '../../src/migration/managed/task-sight.ts';

/** How a manager behaves: each a chance for one call, 0 to 1. */
export interface Misbehaviour {
  /** The call never arrives, and the caller hears that nobody answers. */
  readonly lost: number;
  /** It has its effect, and its answer is lost. */
  readonly unanswered: number;
  /** It is given up, and has its effect later. */
  readonly late: number;
  /** It arrives twice. */
  readonly twice: number;
  /** The manager dies and comes back: it has forgotten every task that has ended, and the calls under way are lost. */
  readonly crash: number;
  /** The answer is the one that the call before got. */
  readonly stale: number;
}

export const HONEST: Misbehaviour = {
  lost: 0,
  unanswered: 0,
  late: 0,
  twice: 0,
  crash: 0,
  stale: 0,
};

/** bytes/s */
export interface Dirtying {
  readonly memoryBytes: number;
  readonly rate: number;
  readonly dirtyRate: number;
  /** It slows a guest down by itself, each round by one step more, where the order lets it. */
  readonly throttles?: boolean;
  /** It refuses what it is asked to change: all of it, or the downtime alone. */
  readonly refuses?: 'all' | 'downtime';
}

export interface ManagerOptions {
  readonly clock: Clock;
  /** 0 to below 1, from a seed. */
  readonly random: () => number;
  readonly behaves?: Misbehaviour;
  /** How long a task takes, ms, and how it ends. */
  readonly taskMs?: number;
  readonly taskEnds?: 'done' | 'failed';
  /** How long the inventory lags behind a task, ms. */
  readonly lagMs?: number;
  /** For how long the list of tasks does not know yet of one that was accepted, ms. */
  readonly listLagMs?: number;
  /** What it measures of a task; absent: it reports nothing. */
  readonly figures?: TaskFigures;
  /** Its guests write memory while it is sent, so that a task takes as long as that takes, and not `taskMs`. */
  readonly dirtying?: Dirtying;
  /** Disks that it moves only as copies. */
  readonly copies?: readonly CopiedDisk[];
  /** Hosts that it manages; absent: any name is one. */
  readonly hosts?: readonly string[];
}
