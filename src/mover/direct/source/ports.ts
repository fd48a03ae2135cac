import type { AgentConfig } from '../../../config.ts';
import type { Fencing } from '../../../host/fencing.ts';
import type { LinkMeasure } from '../../../links/session.ts';
import type { BootTime } from '../../../migration/boot-time.ts';
import type { NamedCheck } from '../../../migration/preflight/check.ts';
import type { StepFacts } from '../../../migration/direct/source/source-state.ts';
import type { HostFacts } from '../../../protocol/peer/host-facts.ts';
import type { Admission } from '../../../protocol/peer/migration.ts';
import type { StreamSetup } from '../../../port/direct.ts';
import type { FleetQuestion } from '../ask-fleet.ts';
import type { DiskLatencies } from './disks/disk-latencies.ts';
import type { SourceBackingFiles } from './disks/backing-files.ts';
import type { GuestChanges } from './guest/guest-changes.ts';
import type { SourceGuest } from './guest/guest.ts';
import type { GuestConnections } from './network/connections.ts';
import type { SourceProbes } from './network/probes.ts';
import type { SourceVerification } from './network/verify.ts';
import type { AdmissionAnswer, PeerApi, Question } from './peer.ts';
import type { MigrationRun } from './source-base.ts';
import type { Target } from './stream/data-path.ts';
import type { Forecast } from './stream/forecast.ts';

export interface PeerPort {
  readonly byRelay: boolean;
  readonly known: boolean;
  /** host:port of its agent on each link, the main one first. */
  readonly addresses: readonly string[];
  readonly address: string;
  admit(admission: Admission, signal: AbortSignal): Promise<AdmissionAnswer>;
  /** Uses the mover from an earlier mover's journal. */
  resume(moverAddress: string): void;
  /** Asks the agent for its mover; false if the agent never admitted the guest. */
  locate(id: string, signal: AbortSignal): Promise<boolean>;
  /** Repeats the question until an answer or the end of `signal`. */
  call<T>(id: string, signal: AbortSignal, question: Question<T>): Promise<T>;
  once<T>(question: (api: PeerApi) => Promise<T>): Promise<T>;
  answers(signal: AbortSignal): Promise<boolean>;
  choose(signal: AbortSignal): Promise<boolean>;
}

export interface HypervisorPort extends Pick<
  SourceGuest,
  | 'capabilities'
  | 'countedBy'
  | 'mayReachUs'
  | 'session'
  | 'status'
  | 'inspect'
  | 'neededBytes'
  | 'machine'
  | 'frozen'
  | 'takeBack'
  | 'relaunch'
> {
  readonly changes: Pick<GuestChanges, 'assertReady' | 'assertSame' | 'explain' | 'checks'>;
  /** Prediction from a look at the guest while the destination is prepared. */
  readonly forecast: Pick<Forecast, 'begin' | 'admitted' | 'facts'>;
}

/** Memory's path out of this host: directly to the other hypervisor, or through the wire. */
export interface DataPathPort {
  readonly offered: boolean;
  /** Opens the path and returns the address for the hypervisor. Closes an earlier session. */
  open(facts: StepFacts, signal: AbortSignal): Promise<Target>;
  end(): Promise<void>;
  abort(why: string): void;
  setup(): StreamSetup;
  /** Downtime that the hypervisor may plan for now, ms. */
  downtimeMs(): number;
}

export interface DisksPort {
  readonly copies: CopiesPort;
  readonly latencies: Pick<DiskLatencies, 'begin' | 'copying' | 'end'>;
  readonly backingFiles: Pick<SourceBackingFiles, 'seed'>;
}

export interface CopiesPort {
  readonly isOpen: boolean;
  readonly isFinishing: boolean;
  /** Undefined without an open path. */
  readonly link: Pick<LinkMeasure, 'cutForMs' | 'roundTripMs'> | undefined;
  copy(signal: AbortSignal): Promise<void>;
  /** Keeps the copies in sync while memory moves or the guest shuts down. */
  keep(signal: AbortSignal): Promise<void>;
  finish(signal: AbortSignal): Promise<void>;
  drop(signal: AbortSignal): Promise<void>;
  abort(why: string): void;
  /** Resolves once the destination has closed its end, so that only the guest writes to the copies. */
  closedThere(signal: AbortSignal): Promise<void>;
}

export interface NetworkPort {
  /** Removes routes to the guest. Never rejects. */
  withdraw(signal: AbortSignal): Promise<void>;
  restore(signal: AbortSignal): Promise<void>;
  removePorts(signal: AbortSignal): Promise<void>;
  readonly connections: ConnectionsPort;
  readonly probes: Pick<SourceProbes, 'early' | 'memory' | 'ran' | 'end' | 'results'>;
  readonly verification: Pick<SourceVerification, 'before' | 'begin' | 'results'>;
}

export interface ConnectionsPort extends Pick<GuestConnections, 'learn' | 'late'> {
  handOver(signal: AbortSignal): Promise<NamedCheck>;
  follow(): void;
  last(): Promise<void>;
}

export interface HostPort {
  readonly config: AgentConfig;
  readonly dir: string;
  readonly facts: () => Promise<HostFacts>;
  readonly bootTime: () => BootTime;
  readonly fleet: FleetQuestion;
  /**
   * Proves that the destination's host is off, and journals the proof first. Undefined if this host has no means. A
   * host that answers is never fenced, so call it whenever the destination's answer is missing.
   */
  readonly fence: (signal: AbortSignal) => Promise<Fencing | undefined>;
  /** Time limit of `fence`, ms; 0 without a means. */
  readonly fenceMs: number;
  readonly removeTree: (directory: string) => Promise<void>;
}

export interface SourcePorts {
  readonly peer: PeerPort;
  readonly hypervisor: HypervisorPort;
  readonly dataPath: DataPathPort;
  readonly disks: DisksPort;
  readonly network: NetworkPort;
  readonly host: HostPort;
}

/** Context of a handler: the migration and its ports. A helper names the ports that it uses. */
export type StepContext<Ports extends keyof SourcePorts = keyof SourcePorts> = MigrationRun &
  Pick<SourcePorts, Ports>;
