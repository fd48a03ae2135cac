import { systemClock } from '../../../clock.ts';
import type { AgentConfig } from '../../../config.ts';
import type { StreamSetup } from '../../../port/direct.ts';
import type { GuestHandle } from '../../../port/inventory.ts';
import { GodwitError, godwitError } from '../../../errors.ts';
import { plannedNowMs } from '../../../migration/steering/downtime.ts';
import { holdsSwitchover } from '../../../migration/steering/steering.ts';
import { mayThrottle, strategyOf } from '../../../migration/steering/strategies.ts';
import { withTimetable } from '../../../migration/steering/timetable.ts';
import type { BootTime } from '../../../migration/boot-time.ts';
import type { SourceEvent, SourceState } from '../../../migration/direct/source-state.ts';
import type { StartPermission } from '../../../migration/permission/permission.ts';
import { defined } from '../../../protocol/defined.ts';
import type { HostFacts } from '../../../protocol/peer/host-facts.ts';
import type { Launch } from '../../../protocol/mover/handle.ts';
import {
  DEFAULT_LINK_GRACE_MS,
  type MigrationSettings,
} from '../../../protocol/public/migration.ts';
import type { SourceMoverRequest } from '../../../protocol/mover/request.ts';
import type { LinkMeasure } from '../../../protocol/public/prediction.ts';
import type {
  GuestDescription,
  Preparation,
  StreamSettings,
} from '../../../protocol/peer/migration.ts';
import type { FleetQuestion } from '../../engine/ask-fleet.ts';
import { streamTls } from '../../engine/credentials.ts';
import type { Fencing } from '../../../host/fencing.ts';
import { termsFor } from '../../../host/wire.ts';
import type { SourceBackingFiles } from './backing-files.ts';
import type { SourceDisks } from './disks.ts';
import type { GuestConnections } from './connections.ts';
import type { DiskLatencies } from './disk-latencies.ts';
import type { Forecast } from './forecast.ts';
import type { GuestChanges } from './guest-changes.ts';
import type { SourceGuest } from './guest.ts';
import type { DestinationPeer, PeerApi, Question } from './peer.ts';
import type { SourceProbes } from './probes.ts';
import type { PostcopyPace } from './postcopy-pace.ts';
import type { TimedCap } from './timed-cap.ts';
import type { UnderWay } from './under-way.ts';
import type { SourceVerification } from './verify.ts';
import type { SourceDataPath } from './data-path.ts';
import { streamAsked } from './stream-asked.ts';

/** What the steps work with. */
export interface SourceContext {
  readonly config: AgentConfig;
  readonly request: SourceMoverRequest;
  readonly dir: string;
  readonly guest: SourceGuest;
  readonly peer: DestinationPeer;
  readonly dataPath: SourceDataPath;
  readonly connections: GuestConnections;
  readonly probes: SourceProbes;
  readonly verification: SourceVerification;
  readonly forecast: Forecast;
  readonly changes: Pick<
    GuestChanges,
    'assertReady' | 'assertSame' | 'judgeMachine' | 'explain' | 'watch' | 'checks'
  >;
  readonly underWay: Pick<UnderWay, 'saw' | 'msOf'>;
  readonly pace: Pick<PostcopyPace, 'empty' | 'fill' | 'saw' | 'isHolding'>;
  readonly timedCap: Pick<TimedCap, 'saw'>;
  readonly disks: SourceDisks;
  readonly latencies: DiskLatencies;
  readonly backingFiles: SourceBackingFiles;
  /** Removes a directory of the guest's, of which its hypervisor may have made anything. */
  readonly removeTree: (directory: string) => Promise<void>;
  /** What this host reports of itself now. */
  readonly hostFacts: () => Promise<HostFacts>;
  /** This mover did not begin the migration: what it is to do may be half done already. */
  readonly tookOver: () => boolean;
  readonly state: () => SourceState;
  readonly dispatch: (event: SourceEvent) => void;
  /** The same, once the record lies where its durability says. */
  readonly record: (event: SourceEvent) => Promise<void>;
  /**
   * Has it proved that the destination's host is off, where this host has a means to do so; the proof is in the journal
   * when this resolves. Undefined where there is none. May be called whenever the destination's answer is missing: a host
   * that is not dark is never fenced.
   */
  readonly fence: (signal: AbortSignal) => Promise<Fencing | undefined>;
  /** How long `fence` may take, ms; 0 where there is no way. */
  readonly fenceMs: number;
  /** The current boot of this host. */
  readonly bootTime: () => BootTime;
  readonly fleet: FleetQuestion;
  /** Starts the guest's hypervisor again, as it was started. */
  readonly relaunch: (
    launch: Launch,
    permission: StartPermission,
    signal: AbortSignal,
  ) => Promise<GuestHandle>;
}

/** What an undo reports besides that it is done. */
export type UndoFacts = Pick<Extract<SourceEvent, { type: 'undid' }>, 'anew'>;

/** What looking at a guest takes, before anything is built; a check has no more than this. */
export type LookDependencies = Pick<SourceContext, 'config' | 'state'> & {
  readonly request: Pick<
    SourceMoverRequest,
    'id' | 'request' | 'memoryBytes' | 'measured' | 'link' | 'ownMoves'
  >;
  readonly guest: Pick<SourceGuest, 'inspect' | 'session' | 'mayReachUs' | 'countedBy'>;
  readonly peer: LookPeer;
  readonly connections: Pick<GuestConnections, 'learn'>;
  readonly dataPath: Pick<SourceDataPath, 'offered'>;
};

/** The destination, as far as it answers before anything is built. */
interface LookPeer {
  /** Whether it is reached through a relay alone. */
  readonly byRelay: boolean;
  resume(moverAddress: string): void;
  call<T>(id: string, signal: AbortSignal, question: LookQuestion<T>): Promise<T>;
}
export type LookQuestion<T> = (api: Pick<PeerApi, 'storage' | 'assess' | 'known'>) => Promise<T>;

/** Asks what a destination answers before anything is built. */
export function askAhead<T>(
  context: LookDependencies,
  signal: AbortSignal,
  question: LookQuestion<T>,
): Promise<T> {
  resumePeer(context);
  return context.peer.call(context.request.id, signal, question);
}

/** Asks the destination’s mover, also one that an earlier process of ours learned of. */
export function ask<T>(
  context: Pick<SourceContext, 'state' | 'peer' | 'request'>,
  signal: AbortSignal,
  question: Question<T>,
): Promise<T> {
  resumePeer(context);
  return context.peer.call(context.request.id, signal, question);
}

/** What is left of a lost guest at the destination is taken down. GODWIT_NOT_ARMED where all of it is there. */
export async function tearDown(context: SourceContext, signal: AbortSignal): Promise<void> {
  const body = { epoch: context.state().plan.epoch, lost: true };
  await ask(context, signal, (api) => api.release({ body }, { signal, deadlineMs: 15_000 }));
}

/** After a takeover the destination’s mover is known from the journal alone. */
export function resumePeer(context: Pick<LookDependencies, 'state' | 'peer'>): void {
  const { moverAddress } = context.state().known;
  if (moverAddress !== undefined) context.peer.resume(moverAddress);
}

/** A destination that is silent for so long, with the guest paused, is to be proved off where there is a way, ms. */
const DARK_MS = 45_000;

/** How long to wait for the destination before the hook is asked; both must fit in `wholeMs`. */
export function darkMs({ fenceMs }: SourceContext, wholeMs: number): number {
  return Math.min(DARK_MS, wholeMs - fenceMs);
}

/** What failed for want of the destination’s answer, with why no proof could take its place. */
export function unproved(thrown: unknown, fencing: Fencing | undefined): unknown {
  if (!(thrown instanceof GodwitError) || fencing === undefined || fencing.off) return thrown;
  const message = `${thrown.message}; ${fencing.why}`;
  return new GodwitError({ ...thrown.toJSON(), message }, { cause: thrown });
}

/** How the source’s end of the stream is set. */
export function streamSetup(context: SourceContext): StreamSetup {
  const { plan, known } = context.state();
  const { settings, to } = plan;
  const { description } = known;
  const setup = {
    ...streamOf(context),
    maxDowntimeMs: streamDowntimeMs(context),
    holdSwitchover: holdsSwitchover(settings, known),
    ...(mayThrottle(strategyOf(settings)) ? { mayThrottle: true } : {}),
    ...(description?.disks === undefined ? {} : { disks: true }),
    ...sharedVolumes(context),
  };
  // The wire has a cap and a TLS of its own, and its hypervisor speaks to this mover alone.
  if (goesByWire(context)) return { ...setup, tls: false };
  const { maxBandwidth } = settingsNow(context);
  return {
    ...setup,
    ...defined({ maxBandwidth }),
    ...(setup.transport === undefined
      ? { tls: true, credentials: streamTls(context.config, context.dir, to) }
      : { tls: false }),
  };
}

/** What has a place at the destination and is no image of a disk. */
function sharedVolumes({ state }: Pick<SourceContext, 'state'>): Pick<StreamSetup, 'shared'> {
  const { places = [], description } = state().known;
  if (description?.disks !== undefined || places.length === 0) return {};
  return { shared: places.map(({ node }) => node) };
}

/** The stream as it was asked for, or chosen with the path. */
function streamOf(context: LookDependencies): Omit<StreamSettings, 'tls'> {
  const { plan, known } = context.state();
  return { ...streamAsked(plan.settings), ...known.path?.stream };
}

/** What the hypervisor may plan for now, by the steering and by what is under way, ms. */
export function streamDowntimeMs(
  context: Pick<SourceContext, 'state' | 'guest' | 'underWay'>,
): number {
  const { plan, steering: trace } = context.state();
  const { settings } = plan;
  const underWayMs = context.underWay.msOf(context);
  return plannedNowMs(strategyOf(settings), { settings, trace, underWayMs });
}

/** The settings of the migration with the cap as it is now, by the time of day. */
export function settingsNow({
  config,
  state,
}: Pick<LookDependencies, 'config' | 'state'>): MigrationSettings {
  return withTimetable(state().plan.settings, config.limits.bandwidth, systemClock.wallMs());
}

/** What the configuration says of the link to the other host, else what its agent knows of it. */
export function saidLink({
  config,
  request,
  state,
}: Pick<LookDependencies, 'config' | 'request' | 'state'>):
  | Pick<LinkMeasure, 'rate' | 'how' | 'isLeast' | 'roundTripMs'>
  | undefined {
  const rate = config.wire.rates[state().plan.to];
  return rate === undefined ? request.link : { rate, how: 'configured' };
}

/** Memory takes the wire, as was settled when the destination admitted the guest. */
export function goesByWire(context: Pick<LookDependencies, 'state'>): boolean {
  return context.state().known.path?.takes === 'wire';
}

/** What the destination learns of the guest and of the stream. */
export function preparation(context: LookDependencies): Preparation {
  const { plan, known } = context.state();
  const { linkGraceMs = DEFAULT_LINK_GRACE_MS } = plan.settings;
  const { transport, ...stream } = streamOf(context);
  const wire = termsFor(context.config, plan.guest, linkGraceMs);
  return {
    epoch: plan.epoch,
    description: describe(known.description),
    stream:
      transport === undefined ? { ...stream, tls: true } : { ...stream, transport, tls: false },
    ...(goesByWire(context) ? { wire } : {}),
    ...defined({
      places: known.places,
      copies: known.copies,
      bases: known.bases,
      networks: known.networks,
      networkMap: plan.settings.networks,
    }),
  };
}

function describe(description: GuestDescription | undefined): GuestDescription {
  if (description === undefined) throw missing('description');
  return description;
}

/** A defect: the table of steps has run a step before the one that it builds on. */
export function missing(what: string): GodwitError {
  return godwitError('GODWIT_INTERNAL', { what: `${what} is not known at this step` });
}
