import type { AgentConfig } from '../../../config.ts';
import { godwitError } from '../../../errors.ts';
import type { DirectDriver } from '../../../port/direct.ts';
import {
  initialDestination,
  type DestinationEvent,
} from '../../../migration/direct/destination/destination.ts';
import { knowsItNeverRan } from '../../../migration/direct/run-right.ts';
import { replayDestination, type DestinationRecord } from '../../../migration/direct/journal.ts';
import { destinationReportOf } from '../../../migration/report/destination.ts';
import { peerContract } from '../../../protocol/peer/contract.ts';
import type { Progress } from '../../../protocol/public/migration.ts';
import type { DestinationMoverRequest } from '../../../protocol/mover/request.ts';
import { PRODUCT_VERSION, PROTOCOL_VERSIONS } from '../../../protocol/version.ts';
import type { Listening } from '../../../rpc/listen.ts';
import type { Handlers } from '../../../rpc/server.ts';
import { openDestinationJournal } from '../../../host/journal/journal.ts';
import { isRestored } from '../../../system/files/store-age.ts';
import { fleetQuestion } from '../ask-fleet.ts';
import type { Surroundings } from '../../shared/surroundings.ts';
import { othersOf } from './source-agent.ts';
import { ArrivedConnections } from './connections.ts';
import { surroundingOf } from './nic-ports.ts';
import { changeMedia } from './disks/media.ts';
import { DestinationMover } from './mover.ts';
import { takeDownMs, type DestinationContext } from './destination-context.ts';
import { openPlaceIds } from './disks/place-ids.ts';
import { isRecovery, recoverGuest } from './recover-guest.ts';
import { KnownThread } from './known-thread.ts';
import { answerStorage } from './disks/storage.ts';
import { verifyHere } from './verify.ts';

export interface RunningDestination {
  readonly mover: DestinationMover;
  /** Listener for the source's mover; absent if the source is dead. */
  readonly listening?: Listening;
  readonly progress: () => Progress;
  readonly ended: Promise<void>;
}

/** Builds the destination's mover from its request and journal, and listens for the source's mover. */
export async function openDestination(
  dir: string,
  config: AgentConfig,
  request: DestinationMoverRequest,
  driver: DirectDriver,
  around: Surroundings,
): Promise<RunningDestination> {
  const { clock, log, pid, bootTime, openFile } = around;
  const { journal, events, records } = openDestinationJournal(dir, clock, openFile);
  // Progress comes from the mover's records, whatever happens to the file.
  journal.onRecord((record) => records.push(record));
  const admitted = { type: 'admitted', admission: request.admission, host: config.name } as const;
  let state = replayDestination(events);
  const tookOver = state !== undefined;
  if (state === undefined) {
    state = initialDestination(admitted);
  } else {
    // The proof for a recovered guest is synced before the guest runs.
    const isAlone = isRecovery(request) && state.right === 'armed';
    const knows = isAlone || knowsItNeverRan(state.right, armedBootId(events), bootTime().bootId);
    // A journal from a backup may lack the record that it ran.
    const neverRan = knows && !isRestored(config.stateDir, request.createdAt);
    const event = { type: 'taken-over', pid, neverRan } as const;
    await journal.append(event, 'sync');
    state = replayDestination([...events, event]) ?? state;
  }
  const others = othersOf(request, around);
  const connections = new ArrivedConnections(
    config.network.connections === 'none' ? undefined : (signal) => surroundingOf(config, signal),
  );
  const placeIds = openPlaceIds(dir);
  const mover = new DestinationMover(
    {
      dir,
      placeIds,
      config,
      driver,
      journal,
      clock,
      log,
      bootTime,
      others,
      connections,
      fleet: fleetQuestion(around),
      since: request.createdAt,
      wire: around.wire,
    },
    state,
  );
  const progress = (): Progress => progressOf(records, clock.wallMs(), request);
  if (isRecovery(request)) {
    if (!tookOver) await journal.append(admitted, 'sync');
    await mover.start(tookOver, false);
    const ended = recoverGuest(mover, request, around);
    // The caller awaits it later; not an unhandled rejection until then.
    ended.catch(() => {});
    return { mover, progress, ended };
  }
  const naming = { config, placeIds };
  const listening = await listenForSource(mover, connections, naming, { request, around });
  // The first record begins the migration here, so it comes after the port is open.
  if (!tookOver) await journal.append(admitted, 'sync');
  await mover.start(tookOver);
  return { mover, listening, progress, ended: mover.ended };
}

/** Only the host that sends this guest may control it. */
function listenForSource(
  mover: DestinationMover,
  connections: ArrivedConnections,
  naming: Pick<DestinationContext, 'config' | 'placeIds'>,
  { request, around }: { request: DestinationMoverRequest; around: Surroundings },
): Promise<Listening> {
  return around.listen(peerContract, handlersOf(mover, connections, naming), (caller) => {
    if (caller.name === request.fromHost) return;
    const needs = `the certificate of ${request.fromHost}`;
    throw godwitError('GODWIT_ROLE_FORBIDDEN', {
      peer: caller.name,
      role: caller.role,
      action: 'this migration',
      needs,
    });
  });
}

function armedBootId(events: readonly DestinationEvent[]): string | undefined {
  return events.findLast((event) => event.type === 'armed')?.bootId;
}

function handlersOf(
  mover: DestinationMover,
  arrived: ArrivedConnections,
  naming: Pick<DestinationContext, 'config' | 'placeIds'>,
): Handlers<typeof peerContract> {
  const ok = { ok: true } as const;
  const known = new KnownThread();
  return {
    hello: () => ({
      name: naming.config.name,
      product: `godwit ${PRODUCT_VERSION}`,
      versions: [...PROTOCOL_VERSIONS],
    }),
    status: () => mover.status(),
    assess: ({ body, signal, calledAt }) => mover.assess(body, signal, calledAt),
    storage: ({ body }) => answerStorage(naming, mover.state.admission, body),
    known: ({ body, signal }) =>
      known.answer(
        { config: naming.config, admission: mover.state.admission, question: body },
        signal,
      ),
    connections: ({ body, signal }) => arrived.take(body, () => mover.state, signal),
    prepare: ({ body, signal }) => mover.prepare(body, signal),
    ...diskHandlers(mover),
    verify: ({ body }) =>
      mover.disks('compare', body.epoch, (parts, session, { state }) =>
        verifyHere(parts, state, session),
      ),
    arm: ({ body }) => mover.arm(body.epoch),
    // Once begun, it runs to its end, even if the caller disconnects.
    commit: ({ body }) => mover.commit(body.epoch, AbortSignal.timeout(60_000), body.askFleet),
    refuse: async ({ body }) => {
      await mover.refuse(body.epoch);
      return { epoch: body.epoch, refused: true };
    },
    recover: ({ body, signal, calledAt }) => mover.recover(body.epoch, signal, calledAt),
    release: async ({ body }) => {
      const signal = AbortSignal.timeout(takeDownMs(mover.state));
      await (body.lost === true
        ? mover.tearDown(body.epoch, signal)
        : mover.release(body.epoch, signal, body));
      return ok;
    },
    finish: async ({ body }) => {
      await mover.finish(body.epoch, AbortSignal.timeout(30_000));
      return ok;
    },
  };
}

function diskHandlers(
  mover: DestinationMover,
): Pick<
  Handlers<typeof peerContract>,
  'bases' | 'media' | 'disks' | 'disksEnd' | 'disksCompare' | 'disksRewritten'
> {
  const ok = { ok: true } as const;
  return {
    bases: ({ body, signal }) =>
      mover.disks('seed', body.epoch, ({ backingFiles }, session, ledger) =>
        backingFiles.seed(session, ledger, body, signal),
      ),
    media: async ({ body, signal }) => {
      await mover.disks('media', body.epoch, (context, session, { state }) =>
        changeMedia(context, session, state, body, signal),
      );
      return ok;
    },
    disks: ({ body, signal }) =>
      mover.disks('disks', body.epoch, ({ disks }, session, { state }) =>
        disks.offer(session, state, body.linkGraceMs, signal),
      ),
    disksEnd: async ({ body, signal }) => {
      await mover.disks('disks', body.epoch, ({ disks }, session, { state }) =>
        disks.end(session, state, signal, body.watch),
      );
      return ok;
    },
    disksCompare: ({ body, signal }) =>
      mover.disks('compare', body.epoch, ({ compare }, session, { state }) =>
        compare.differ(session, state, body, signal),
      ),
    disksRewritten: ({ body, signal }) =>
      mover.disks('compare', body.epoch, ({ compare }, session, { state }) =>
        compare.rewritten(session, state, body, signal),
      ),
  };
}

/** The destination's view from its journal; the source's view has more. */
function progressOf(
  records: readonly DestinationRecord[],
  nowMs: number,
  request: DestinationMoverRequest,
): Progress {
  const report = destinationReportOf(records, nowMs);
  const { id, guest, from } = request.admission;
  return {
    id,
    guest,
    from,
    to: request.toHost,
    mode: report?.mode ?? request.admission.settings?.mode ?? 'precopy',
    phase: report?.phase ?? 'checking',
    elapsedMs: report?.totalMs ?? 0,
    percent: report?.outcome === 'done' ? 100 : 0,
    ...(report?.error === undefined ? {} : { error: report.error }),
  };
}
