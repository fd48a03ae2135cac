import type { AgentConfig } from '../../../config.ts';
import { withDeadline } from '../../../deadline.ts';
import type { DirectDriver } from '../../../port/direct.ts';
import { toGodwitError } from '../../../errors.ts';
import { withShare } from '../../../migration/prediction/link-share.ts';
import { replaySource } from '../../../migration/direct/journal.ts';
import { guestEndingMs } from '../../../migration/direct/source/ending-times.ts';
import {
  initialSource,
  type PlannedEvent,
  type SourceEvent,
} from '../../../migration/direct/source/source-state.ts';
import { defined } from '../../../protocol/defined.ts';
import { migrationSettings, type EndPhase } from '../../../protocol/public/migration.ts';
import { epochOf, type SourceMoverRequest } from '../../../protocol/mover/request.ts';
import { openSourceJournal } from '../../../host/journal/journal.ts';
import { isRestored } from '../../../system/files/store-age.ts';
import type { Log } from '../../../log.ts';
import type { Surroundings } from '../../shared/surroundings.ts';
import { Coordinator } from './coordinator.ts';
import { SourceGuest } from './guest/guest.ts';
import { giveUpHere, stopHere } from './guest/end-here.ts';
import { restartGuest } from './guest/restart.ts';
import { recoverOrProve } from './stream/recover.ts';
import { callEndHook } from './hooks.ts';
import { tearDown, type MoverParts } from './source-base.ts';
import type { StepContext } from './ports.ts';
import { openPorts } from './open-ports.ts';
import { DestinationPeer } from './peer.ts';
import { Watch } from './watch.ts';

const TEAR_DOWN_MS = 15_000;

export interface RunningSource {
  readonly coordinator: Coordinator;
  /** Begins, or continues an earlier mover's work; resolves at the end of the migration. */
  readonly run: () => Promise<EndPhase>;
}

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
  // A step that this mover begins itself is never half done.
  const begun = tookOver ? JSON.stringify(state.doing) : '';
  const parts: MoverParts = {
    config,
    request,
    dir,
    guest,
    peer,
    tookOver: () => tookOver && JSON.stringify(coordinator.state.doing) === begun,
    state: () => coordinator.state,
    dispatch: (event) => coordinator.dispatch(event),
    record: (event) => coordinator.record(event),
  };
  const { context, watched, abort, close } = openPorts(parts, around, tookOver);
  return {
    coordinator,
    run: async () => {
      watch.start(watched);
      try {
        if (found === undefined) await coordinator.begin(context, planned);
        else coordinator.takeOver(context, pid, mayLackRecords(parts, events, bootTime().bootId));
        const outcome = await coordinator.finished;
        if (outcome === 'lost' && !coordinator.state.restarted) await endCopies(context, log);
        return await callEndHook(context, outcome, log);
      } finally {
        watch.stop();
        abort('the mover ends');
        coordinator.close();
        await close();
        await journal.close();
      }
    },
  };
}

/**
 * A lost guest runs nowhere: its copy here is kept, paused. The end is already reported; the destination removes
 * later what cannot be removed now.
 */
async function endCopies(context: StepContext, log: Log): Promise<void> {
  await stopHere(context.hypervisor, log);
  try {
    const tearDownMs = TEAR_DOWN_MS + guestEndingMs(context.state());
    await withDeadline('taking down what is left', tearDownMs, undefined, (signal) =>
      tearDown(context, signal),
    );
  } catch (error) {
    log.warn({ error: toGodwitError(error) }, 'the destination was not taken down');
  }
}

/** The last records may be missing after a power loss, and in a journal from a backup. */
function mayLackRecords(
  { config, request }: Pick<MoverParts, 'config' | 'request'>,
  events: readonly SourceEvent[],
  bootId: string,
): boolean {
  const [planned] = events;
  const wasRebooted = planned?.type === 'planned' && planned.bootId !== bootId;
  return wasRebooted || isRestored(config.stateDir, request.createdAt);
}

function planOf(config: AgentConfig, request: SourceMoverRequest, bootId: string): PlannedEvent {
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
