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

/** The right to work on one request: a lease by the store's clock. Each acquisition has a new, higher epoch. */
export interface Claim {
  readonly request: string;
  readonly owner: string;
  readonly epoch: number;
}

export interface RequestView {
  readonly request: FleetRequest;
  readonly moves: readonly Move[];
  readonly cancel: Cancel;
  readonly world: Omit<World, 'hosts' | 'guests' | 'labels'>;
  /** Counts promises of room, marks and limits of the whole fleet. */
  readonly admission: number;
  readonly version: number;
}

export interface Change {
  readonly version: number;
  readonly request: FleetRequest;
  /** New or changed moves; their reservations follow from them. */
  readonly moves: readonly Move[];
  /** Required to begin moves: the admission count that the decision relies on. */
  readonly admission?: number;
  /** To mark as draining for this request, and to unmark. */
  readonly closes?: string;
  readonly opens?: string;
  /** It begins more than moves: refused once a cancel was requested. */
  readonly begins?: boolean;
}

/** `stale`: another controller has the claim. `changed`: the decision's basis has changed; nothing was written. */
export type CommitOutcome = 'written' | 'stale' | 'changed';

/** Every write names its claim's epoch, and shows whether that was still the newest. */
export interface RequestStore {
  acquire(owner: string, leaseMs: number): Promise<Claim | undefined>;
  /** The same claim under a new epoch. */
  advance(claim: Claim, leaseMs: number): Promise<Claim | undefined>;
  /** Extends the lease if half of it is over. */
  view(claim: Claim, leaseMs: number): Promise<RequestView | undefined>;
  renew(claim: Claim, leaseMs: number): Promise<boolean>;
  /** Renews many claims; lost ones stay unchanged. */
  renewAll(claims: readonly Claim[], leaseMs: number): Promise<void>;
  /** Atomic. A change that begins moves is refused once a cancel was requested. */
  commit(claim: Claim, change: Change): Promise<CommitOutcome>;
  /** Due again after `dueInMs`. */
  release(claim: Claim, dueInMs: number): Promise<void>;
}

/** Returns `silent` for an agent that does not answer. Never throws. */
export interface AgentCalls {
  put(move: Move, order: Order): Promise<Sight>;
  /** Cancels a move that has begun; `unknown` proves that it never will begin under an epoch up to the order's. */
  cancel(move: Move, order: Order): Promise<Sight>;
  look(move: Move): Promise<Sight>;
}

export interface ProgramCall {
  readonly program: string;
  readonly host: string;
  readonly id: string;
  readonly epoch: number;
  readonly before?: NonNullable<Roll['before']>;
}

/** A roll's calls other than moves. Never throws. */
export interface RollCalls {
  host(name: string, signal: AbortSignal): Promise<StageAnswer>;
  program(call: ProgramCall, signal: AbortSignal): Promise<StageAnswer>;
}

/** A drain's calls to its host's manager. Never throws. */
export interface ModeCalls {
  ask(call: Exclude<ModeCall, 'nothing'>, request: FleetRequest): Promise<ModeHeard>;
}

export interface HostCalls {
  /** Closes the host to guests for a while, and returns what is on it. */
  occupancy(host: string, request: string): Promise<HostHeard>;
  /** Only closes it; false without the host's answer. */
  close(host: string, request: string): Promise<boolean>;
  /** Opens the host, unless another request has closed it. */
  open(host: string, request: string): Promise<boolean>;
}

export interface SizesFound {
  readonly sizes: Record<string, GuestSize>;
  /** Absent if no host has measured it for the others. */
  readonly line?: MeasuredLine;
}

export interface GuestSizes {
  of(guests: readonly SizedGuest[], ask: FleetRequestAsk, line?: SiteLink): Promise<SizesFound>;
}

export interface FleetView {
  look(when?: 'now'): Promise<Pick<World, 'hosts' | 'guests' | 'labels' | 'past' | 'standbys'>>;
}
