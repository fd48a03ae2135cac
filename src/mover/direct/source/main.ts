import type { AgentConfig } from '../../../config.ts';
import { withDeadline } from '../../../deadline.ts';
import type { DirectDriver } from '../../../port/direct.ts';
import { toGodwitError } from '../../../errors.ts';
import { withShare } from '../../../migration/prediction/link-share.ts';
import { replaySource } from '../../../migration/direct/journal.ts';
import { guestEndingMs } from '../../../migration/direct/ending-times.ts';
import {
  initialSource,
  phaseOf,
  type Planned,
  type SourceEvent,
} from '../../../migration/direct/source-state.ts';
import { defined } from '../../../protocol/defined.ts';
import { migrationSettings, type EndPhase } from '../../../protocol/public/migration.ts';
import { epochOf, type SourceMoverRequest } from '../../../protocol/mover/request.ts';
import { openSourceJournal } from '../../../host/journal/journal.ts';
import { isRestored } from '../../../system/files/store-age.ts';
import type { Log } from '../../../log.ts';
import { fencingMs } from '../../../host/fencing.ts';
import { fleetQuestion } from '../../engine/ask-fleet.ts';
import type { Surroundings } from '../../engine/surroundings.ts';
import { GuestConnections } from './network/connections.ts';
import { Coordinator } from './coordinator.ts';
import { SourceBackingFiles } from './disks/backing-files.ts';
import { SourceDisks } from './disks/disks.ts';
import { DiskLatencies } from './disks/disk-latencies.ts';
import { Forecast } from './stream/forecast.ts';
import { giveUpHere } from './guest/give-up.ts';
import { PortLooks } from '../../../network/port-look.ts';
import { GuestChanges } from './guest/guest-changes.ts';
import { PostcopyPace } from './stream/postcopy-pace.ts';
import { TimedCap } from './stream/timed-cap.ts';
import { UnderWay } from './stream/under-way.ts';
import { SourceGuest } from './guest/guest.ts';
import { callEndHook } from './hooks.ts';
import { tearDown } from './source-base.ts';
import type { SourceContext } from './source-context.ts';
import { DestinationPeer } from './peer.ts';
import { proveOff, recoverOrProve } from './guest/prove-off.ts';
import { relaunchOn, restartGuest } from './guest/restart.ts';
import { stopHere } from './guest/stop-here.ts';
import { SourceProbes } from './network/probes.ts';
import { SourceVerification } from './network/verify.ts';
import { Watch } from './watch.ts';
import { SourceDataPath } from './stream/data-path.ts';

const TEAR_DOWN_MS = 15_000;

export interface RunningSource {
  readonly coordinator: Coordinator;
  /** Begins, or goes on where an earlier mover stood; resolves when the migration has ended. */
  readonly run: () => Promise<EndPhase>;
}

/** Builds the source's mover from its request and its journal. */
export function openSource(
  dir: string,
  config: AgentConfig,
  request: SourceMoverRequest,
  driver: DirectDriver,
  around: Surroundings,
): RunningSource {
  const { clock, log, pid, bootTime, openFile, connect } = around;
  const { journal, events } = openSourceJournal(dir, clock, openFile);
  const planned = planOf(config, request, bootTime().bootId);
  const found = replaySource(events);
  const state = found ?? initialSource(planned).state;
  const settings = state.plan.settings;
  const coordinator = new Coordinator(
    {
      journal,
      clock,
      log,
      startedAtMs: Date.parse(request.createdAt),
      recover: (signal) => recoverOrProve(context, settings.timeoutMs, log, signal),
      restart: (signal) => restartGuest(context, signal),
      giveUp: (signal) => giveUpHere(context, signal),
    },
    state,
  );
  const watch = new Watch(coordinator, clock, log);
  const isBack = request.returns !== undefined;
  const hears = watch.onHypervisor.bind(watch);
  const guest = new SourceGuest(driver, request.handle, settings, hears, isBack);
  const { name, address, addresses = [] } = request.peer;
  const peer = new DestinationPeer(name, [address, ...addresses], connect, around);
  const tookOver = found !== undefined;
  // A step that this mover begins itself is not half done, even after a takeover.
  const begun = tookOver ? JSON.stringify(state.doing) : '';
  const context: SourceContext = {
    config,
    request,
    dir,
    guest,
    peer,
    dataPath: new SourceDataPath(around.wire, log),
    connections: new GuestConnections(),
    ...besides(around, tookOver),
    tookOver: () => tookOver && JSON.stringify(coordinator.state.doing) === begun,
    state: () => coordinator.state,
    ...recorderOf(coordinator),
    fence: (signal) => proveOff(coordinator, request, around, signal),
    fenceMs: around.fence === undefined ? 0 : fencingMs(config),
    ...starting(driver, request, config, around),
  };
  return {
    coordinator,
    run: async () => {
      watch.start(context);
      try {
        if (found === undefined) await coordinator.begin(context, planned);
        else coordinator.takeOver(context, pid, mayLackRecords(context, events, bootTime().bootId));
        const outcome = await coordinator.finished;
        if (outcome === 'lost' && !coordinator.state.restarted) await endCopies(context, log);
        return await callEndHook(context, outcome, log);
      } finally {
        watch.stop();
        abortAll(context, 'the mover ends');
        coordinator.close();
        await close(context);
        await journal.close();
      }
    },
  };
}

/** How the guest comes to run here again. */
function starting(
  driver: DirectDriver,
  { handle }: SourceMoverRequest,
  config: AgentConfig,
  around: Surroundings,
): Pick<SourceContext, 'bootTime' | 'fleet' | 'relaunch'> {
  const relaunch = relaunchOn(config, driver, handle);
  return { bootTime: around.bootTime, fleet: fleetQuestion(around), relaunch };
}

function recorderOf(coordinator: Coordinator): Pick<SourceContext, 'dispatch' | 'record'> {
  return {
    dispatch: (event) => coordinator.dispatch(event),
    record: (event) => coordinator.record(event),
  };
}

function besides(
  { connect, clock, log, hostFacts, processorLoad, queuedBytes, removeTree }: Surroundings,
  tookOver: boolean,
): Pick<
  SourceContext,
  | 'disks'
  | 'latencies'
  | 'backingFiles'
  | 'changes'
  | 'probes'
  | 'verification'
  | 'forecast'
  | 'underWay'
  | 'pace'
  | 'timedCap'
  | 'hostFacts'
  | 'removeTree'
> {
  const probes = new SourceProbes(connect, clock, log);
  return {
    disks: new SourceDisks(log),
    latencies: new DiskLatencies(clock, log),
    backingFiles: new SourceBackingFiles(log),
    changes: new GuestChanges(clock, log, new PortLooks()),
    probes,
    verification: new SourceVerification(clock),
    forecast: new Forecast(processorLoad),
    underWay: new UnderWay(queuedBytes, log),
    pace: new PostcopyPace(queuedBytes, clock, log),
    timedCap: new TimedCap(log, tookOver),
    hostFacts,
    removeTree,
  };
}

async function close({
  forecast,
  connections,
  probes,
  guest,
  peer,
  request,
  state,
}: SourceContext): Promise<void> {
  forecast.close();
  await probes.close(request.id, phaseOf(state()) === 'done');
  await connections.close(request.id);
  await guest.close();
  peer.close();
}

/** Breaks off what goes out to the destination. */
function abortAll(context: SourceContext, why: string): void {
  context.dataPath.abort(context, why);
  context.disks.abort(context, why);
  context.backingFiles.abort(why);
}

/**
 * A guest that is lost runs nowhere: what is here is kept, paused. The end is reported already: what cannot be taken
 * down now, the destination takes down once it hears of the end.
 */
async function endCopies(context: SourceContext, log: Log): Promise<void> {
  await stopHere(context, log);
  try {
    const tearDownMs = TEAR_DOWN_MS + guestEndingMs(context.state());
    await withDeadline('taking down what is left', tearDownMs, undefined, (signal) =>
      tearDown(context, signal),
    );
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'the destination was not taken down');
  }
}

/** After a loss of power, and in a journal that was put back from a backup, the last records may be missing. */
function mayLackRecords(
  { config, request }: SourceContext,
  events: readonly SourceEvent[],
  bootId: string,
): boolean {
  const [planned] = events;
  const wasRebooted = planned?.type === 'planned' && planned.bootId !== bootId;
  return wasRebooted || isRestored(config.stateDir, request.createdAt);
}

function planOf(config: AgentConfig, request: SourceMoverRequest, bootId: string): Planned {
  return {
    type: 'planned',
    id: request.id,
    guest: request.request.guest,
    from: config.name,
    to: request.toHost,
    epoch: epochOf(request),
    settings: withShare(migrationSettings.parse(request.request), request.linkShareBandwidth),
    bootId,
    askedAtMs: Date.parse(request.createdAt),
    ...defined({ prediction: request.prediction }),
  };
}
