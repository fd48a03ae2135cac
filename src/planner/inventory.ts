/**
 * The planner's input. Processor has one unit throughout, that of `cpu`: cores or MIPS. Unknown values are absent; the
 * planner never treats "unknown" as "none".
 */

export interface PlannerHost {
  readonly name: string;
  /** Capacity of all processors, and of one core. */
  readonly cpu: number;
  readonly coreCpu: number;
  readonly memoryBytes: number;
  /** Power at loads from 0 to 1, evenly spaced, W. Absent: only the number of hosts counts. */
  readonly watts?: readonly number[];
  /** False: off or asleep, and can be woken. */
  readonly on: boolean;
  /** Not heard for too long: nothing moves from or to it. */
  readonly silent?: boolean;
  /** Must become empty: nothing moves to it. */
  readonly draining?: boolean;
  readonly networks?: readonly string[];
  readonly processors?: readonly string[];
  /** Rate of moves, bytes/s; default: the planner's. */
  readonly linkBytesPerSecond?: number;
  /** Share of time that guests waited for its processors at the last looks, newest first. */
  readonly pressure?: readonly number[];
  /** Its site; links between sites are `Trunk`s. */
  readonly site?: string;
  readonly realm?: string;
  /** Must not be emptied to save power. */
  readonly kept?: boolean;
}

/** A link shared by all moves between two sites, bytes/s in each direction. */
export interface Trunk {
  readonly between: readonly [string, string];
  readonly bytesPerSecond: number;
}

export interface PlannerGuest {
  readonly name: string;
  readonly host: string;
  readonly memoryBytes: number;
  readonly cpu: number;
  /** Demand at the last samples, newest first. */
  readonly demand: readonly number[];
  /** Unreported: `demand` is the rest of its host's load, and it stays. */
  readonly reckoned?: boolean;
  /** Expected demand in the next hour by earlier days; absent without a pattern. */
  readonly soon?: number;
  /** Share of time that it waited for a processor (steal) at the last looks, newest first. */
  readonly steal?: readonly number[];
  readonly dirtyBytesPerSecond?: number;
  readonly usedBytes?: number;
  /** Largest repeatedly written memory; default: all. */
  readonly workingSetBytes?: number;
  readonly networks?: readonly string[];
  readonly processor?: string;
  readonly neverMove?: boolean;
  /** For people; absent: its owner forbids it. */
  readonly whyNever?: string;
  /** Higher chooses hosts first; default 0. */
  readonly priority?: number;
  /** Hosts of other sites count, too: its destination was named, or it starts only now. */
  readonly mayChangeSite?: boolean;
  readonly pinnedTo?: readonly string[];
  /** Never on a host with another of these groups. */
  readonly apart?: readonly string[];
  readonly together?: string;
  readonly moving?: boolean;
  /** Destination while `host` still has its memory: it counts on both, its load on this one. */
  readonly movingTo?: string;
  /** Hosts that it left, and how long ago, s. */
  readonly left?: readonly { readonly host: string; readonly secondsAgo: number }[];
}

export interface Inventory {
  readonly hosts: readonly PlannerHost[];
  readonly guests: readonly PlannerGuest[];
}

export interface Budget {
  readonly moves?: number;
  readonly bytes?: number;
}

export type Constraint =
  | 'memory'
  | 'cpu'
  | 'network'
  | 'processor'
  | 'never-move'
  | 'pinned'
  | 'apart'
  | 'together'
  | 'site'
  | 'realm'
  | 'silent'
  | 'draining'
  | 'moving'
  | 'came-from'
  | 'rests'
  | 'unknown-load'
  | 'unknown-host'
  | 'last-host'
  | 'no-target'
  | 'budget';

export interface Refusal {
  readonly constraint: Constraint;
  readonly guest?: string;
  readonly host?: string;
  readonly words: string;
}

export type Reason = 'overload' | 'empty-host' | 'drain' | 'contention' | 'spread';

export interface MoveCost {
  readonly bytes: number;
  readonly seconds: number;
  readonly downtimeMs: number;
}

export interface PlannedMove {
  readonly guest: string;
  readonly from: string;
  readonly to: string;
  readonly reason: Reason;
  readonly words: string;
  readonly cost: MoveCost;
  /** Up to two worse alternatives, best first. */
  readonly alternatives: readonly string[];
  readonly worth?: { readonly gain: number; readonly cost: number };
  /** Both moves are made, or neither. */
  readonly swapsWith?: string;
}

/**
 * All moves may run at once, in any order: each host has memory for all arriving and present guests, and anti-affinity
 * holds throughout.
 */
export interface Plan {
  readonly moves: readonly PlannedMove[];
  readonly refusals: readonly Refusal[];
  /** Hosts to wake before the first wave. */
  readonly wake: readonly string[];
  readonly emptied: readonly string[];
}
