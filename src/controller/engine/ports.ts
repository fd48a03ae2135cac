import type { Order } from '../../protocol/public/order.ts';
import type { MeasuredLine } from '../../protocol/controller/measured-line.ts';
import type { World } from '../requests/facts.ts';
import type { ModeCall, ModeHeard } from '../requests/maintenance-mode.ts';
import type { HostHeard } from '../requests/occupancy.ts';
import type { Cancel } from '../requests/moves.ts';
import type { Sight } from '../requests/settle.ts';
import type { SiteLink } from '../site-map.ts';
import type { StageAnswer } from '../requests/roll-health.ts';
import type { SizedGuest } from '../requests/guest-size.ts';
import type {
  GuestSize,
  Move,
  Roll,
  FleetRequest,
  FleetRequestAsk,
} from '../../protocol/controller/fleet-request.ts';

/**
 * The right to work on one request: a lease by the clock of the store. Each acquisition has an epoch of its own, greater than
 * any before, whoever made it.
 */
export interface Claim {
  readonly request: string;
  readonly owner: string;
  readonly epoch: number;
}

/** What the store knows, read at one moment. */
export interface RequestView {
  readonly request: FleetRequest;
  /** Those that are open or not settled. */
  readonly moves: readonly Move[];
  readonly cancel: Cancel;
  readonly world: Omit<World, 'hosts' | 'guests' | 'labels'>;
  /** Counts promises of room in the whole fleet, and new marks and limits: whoever makes a promise must have seen them all. */
  readonly admission: number;
  /** Of the request: each write makes it greater. */
  readonly version: number;
}

export interface Change {
  /** Of the request, as it was read: an earlier write of the same claim that arrives late must not undo a later one. */
  readonly version: number;
  readonly request: FleetRequest;
  /** Those that are new or not as they were; the reservation of each follows from it. */
  readonly moves: readonly Move[];
  /** Where moves begin: the count of promises that the decision rests on. */
  readonly admission?: number;
  /** A host that is marked as draining for this request, and one whose mark is taken away. */
  readonly closes?: string;
  readonly opens?: string;
  /** It begins something besides moves: refused once a cancel was asked for. */
  readonly begins?: boolean;
}

/** `stale`: the claim is another’s by now. `changed`: what the decision rests on is not so any more; nothing was written. */
export type CommitOutcome = 'written' | 'stale' | 'changed';

/** Every write names the epoch of its claim, and shows whether that was still the newest. */
export interface RequestStore {
  /** A request that is due and that nobody works on; undefined where there is none. */
  acquire(owner: string, leaseMs: number): Promise<Claim | undefined>;
  /** The same claim under a new epoch; undefined where it is another’s by now. */
  advance(claim: Claim, leaseMs: number): Promise<Claim | undefined>;
  /** Extends the lease where half of it is over; undefined where it is another’s by now. */
  view(claim: Claim, leaseMs: number): Promise<RequestView | undefined>;
  /** Extends the lease; false where it is another’s by now. */
  renew(claim: Claim, leaseMs: number): Promise<boolean>;
  /** The same of many at once; those that are another’s by now stay as they are. */
  renewAll(claims: readonly Claim[], leaseMs: number): Promise<void>;
  /** All of it or nothing. A change that begins moves is refused once a cancel was asked for. */
  commit(claim: Claim, change: Change): Promise<CommitOutcome>;
  /** Gives it up, so that anybody may take it from `dueInMs` on. Does nothing where it is another’s by now. */
  release(claim: Claim, dueInMs: number): Promise<void>;
}

/** An agent that does not answer is `silent`; none of these throws. */
export interface AgentCalls {
  put(move: Move, order: Order): Promise<Sight>;
  /** Takes it back where it has begun; `unknown` is proof that it never will under an epoch up to the order’s. */
  cancel(move: Move, order: Order): Promise<Sight>;
  look(move: Move): Promise<Sight>;
}

/** What the site's program of a roll is given. */
export interface ProgramCall {
  readonly program: string;
  readonly host: string;
  /** The same whenever it is asked about this host for this request. */
  readonly id: string;
  readonly epoch: number;
  readonly before?: NonNullable<Roll['before']>;
}

/** What a roll asks besides moves; none of these throws. */
export interface RollCalls {
  /** What the host says of itself now, and whether its samples come. */
  host(name: string, signal: AbortSignal): Promise<StageAnswer>;
  /** Runs the program to its end, or until the signal ends it. */
  program(call: ProgramCall, signal: AbortSignal): Promise<StageAnswer>;
}

/** What a drain asks of the manager of its host; none of these throws. */
export interface ModeCalls {
  ask(call: Exclude<ModeCall, 'nothing'>, request: FleetRequest): Promise<ModeHeard>;
}

/** Hosts that a request empties; none of these throws. */
export interface HostCalls {
  /** The host admits no guest for a while, and then reports what is on it. */
  occupancy(host: string, request: string): Promise<HostHeard>;
  /** The first half alone; false without an answer of the host. */
  close(host: string, request: string): Promise<boolean>;
  /** The host admits guests again, unless another request has closed it. */
  open(host: string, request: string): Promise<boolean>;
}

export interface SizesFound {
  readonly sizes: Record<string, GuestSize>;
  /** Absent where no host has measured it for the others. */
  readonly line?: MeasuredLine;
}

/**
 * What moves would send, as the guests' own hosts measure it; a guest that cannot be measured is left out. `line`: as the
 * map of sites has it. Never throws.
 */
export interface GuestSizes {
  of(guests: readonly SizedGuest[], ask: FleetRequestAsk, line?: SiteLink): Promise<SizesFound>;
}

/** The fleet as it was seen last; a moment ago at most, or now. */
export interface FleetView {
  look(when?: 'now'): Promise<Pick<World, 'hosts' | 'guests' | 'labels' | 'past' | 'standbys'>>;
}
