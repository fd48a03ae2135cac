/**
 * What the planner is given. Processor is counted in one unit throughout, that of `cpu`: cores, or MIPS.
 * Who fills it in leaves out what is not known; the planner never takes "not known" for "none".
 */

export interface PlannerHost {
  readonly name: string;
  /** What all of its processors give, and what one core gives. */
  readonly cpu: number;
  readonly coreCpu: number;
  readonly memoryBytes: number;
  /** Power at loads from 0 to 1, evenly spaced, W. Without it, hosts cost the same and only their number counts. */
  readonly watts?: readonly number[];
  /** False for a host that is off or asleep, and can be woken. */
  readonly on: boolean;
  /** Nothing was heard of it for too long: nothing moves from it or to it. */
  readonly silent?: boolean;
  /** It is to be empty: nothing moves to it. */
  readonly draining?: boolean;
  readonly networks?: readonly string[];
  /** Processor models that it can run. */
  readonly processors?: readonly string[];
  /** For moves, bytes/s; the planner's default where it is not known. */
  readonly linkBytesPerSecond?: number;
  /** The share of time in which guests waited for its processors, at the last looks, the newest first. */
  readonly pressure?: readonly number[];
  /** Where it stands; links between sites are `Trunk`s. */
  readonly site?: string;
  /** Guests move between hosts of one realm alone. */
  readonly realm?: string;
  /** It is not to be emptied to save power. */
  readonly kept?: boolean;
}

/** A link between two sites that all moves between their hosts share, bytes/s in each direction. */
export interface Trunk {
  readonly between: readonly [string, string];
  readonly bytesPerSecond: number;
}

export interface PlannerGuest {
  readonly name: string;
  readonly host: string;
  readonly memoryBytes: number;
  /** The most processor that it can use. */
  readonly cpu: number;
  /** What it asked for at the last samples, the newest first. */
  readonly demand: readonly number[];
  /** Nobody reported it: `demand` is what is left of its host, and it stays. */
  readonly reckoned?: boolean;
  /** What it asks for in the hour to come, by earlier days; absent where those say nothing. */
  readonly soon?: number;
  /** The share of time in which it waited for a processor (steal), at the last looks, the newest first. */
  readonly steal?: readonly number[];
  readonly dirtyBytesPerSecond?: number;
  /** Of its memory, what is not zero pages; all of it where absent. */
  readonly usedBytes?: number;
  /** The most that it writes again and again; all of its memory where absent. */
  readonly workingSetBytes?: number;
  readonly networks?: readonly string[];
  /** The processor model that it runs on. */
  readonly processor?: string;
  readonly neverMove?: boolean;
  /** Why, for people; absent: its owner says so. */
  readonly whyNever?: string;
  /** Where several leave, the greater one has its choice of hosts first; 0 where absent. */
  readonly priority?: number;
  /** Hosts of other sites are looked at too: whoever asked for its move named where to, or it starts only now. */
  readonly mayChangeSite?: boolean;
  /** It may be on these hosts alone. */
  readonly pinnedTo?: readonly string[];
  /** Never on a host with another of these groups. */
  readonly apart?: readonly string[];
  /** Always on the host of the others of this group. */
  readonly together?: string;
  /** It moves at this moment. */
  readonly moving?: boolean;
  /** Where to, if `host` is still where it is and has its memory: it counts on both, and its load on this one. */
  readonly movingTo?: string;
  /** Hosts that it left, and how long ago, s. */
  readonly left?: readonly { readonly host: string; readonly secondsAgo: number }[];
}

export interface Inventory {
  readonly hosts: readonly PlannerHost[];
  readonly guests: readonly PlannerGuest[];
}

/** How much one plan may do. */
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

/** Why something was not planned. */
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
  /** At most two hosts that were possible and worse, the better one first. */
  readonly alternatives: readonly string[];
  /** Of balance: processor-seconds that guests get by it and would not have got, and those that it costs. */
  readonly worth?: { readonly gain: number; readonly cost: number };
  /** The guest that moves the other way, so that there is room: both moves are made, or neither. */
  readonly swapsWith?: string;
}

/**
 * All moves of a plan may run side by side, in any order: each host has memory for all that come beside all that are
 * there, and no two that must be apart are ever on one host.
 */
export interface Plan {
  readonly moves: readonly PlannedMove[];
  readonly refusals: readonly Refusal[];
  /** Hosts to wake before the first wave. */
  readonly wake: readonly string[];
  /** Hosts without a guest once all moves are done, which this plan has emptied. */
  readonly emptied: readonly string[];
}
