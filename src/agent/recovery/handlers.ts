import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../clock.ts';
import type { AgentConfig } from '../../config.ts';
import { withDeadline } from '../../deadline.ts';
import { godwitError } from '../../errors.ts';
import { syncDirectory } from '../../system/journal-file.ts';
import type { Log } from '../../log.ts';
import type { agentContract } from '../../protocol/contract.ts';
import { defined } from '../../protocol/defined.ts';
import type { DestinationMoverRequest } from '../../protocol/mover/request.ts';
import type { RecoveryRequest, Standby } from '../../protocol/public/recovery.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import type { Handlers } from '../../rpc/server.ts';
import { checkSender, type Incoming } from '../migrations/incoming.ts';
import { orderFor, type Orders } from '../migrations/orders.ts';
import type { PreflightAnswers } from '../preflight/answers.ts';
import type { MigrationStore } from '../migrations/store.ts';
import type { Supervisor } from '../processes/supervision.ts';
import { CallRate, type CallLimit } from './call-rate.ts';
import type { Recovery } from './open-recovery.ts';
import type { KeptView } from './standbys.ts';

/** Maximum difference between the clocks of two hosts that both act on a guest, ms; a check warns at 1 s. */
const MAX_SKEW_MS = 60_000;

/** Less than the other host waits for the answer, ms. */
const SETTLED_MS = 4000;
const HEARTBEATS: CallLimit = { what: 'heartbeats', burst: 32, everyMs: 1000 };
/** Each costs a disk write. A controller requests 64 in 15 s. */
const DESCRIPTIONS: CallLimit = { what: 'descriptions of guests', burst: 128, everyMs: 200 };

export interface RecoveryHandlerDependencies {
  readonly config: AgentConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: MigrationStore;
  readonly supervisor: Supervisor;
  readonly orders: Orders;
  readonly answers: PreflightAnswers;
  readonly incoming: Incoming;
  readonly recovery: Recovery;
}

type RecoveryRoutes = Pick<
  typeof agentContract,
  'putStandby' | 'standbys' | 'putRecovery' | 'keepStandby' | 'confirmStandbys'
>;

export function recoveryHandlers(deps: RecoveryHandlerDependencies): Handlers<RecoveryRoutes> {
  const { config, clock, log, answers, orders, recovery } = deps;
  const { standbys, sourceWatch, keepStandbys } = recovery;
  const nowMs = (): number => clock.monotonicMs();
  const heartbeats = new CallRate(config.name, HEARTBEATS, nowMs);
  const descriptions = new CallRate(config.name, DESCRIPTIONS, nowMs);
  return {
    putStandby: async ({ params: { guest }, body: { to }, signal }) => {
      return { guest, to, checks: [...(await keepStandbys.offer(guest, to, signal))] };
    },
    keepStandby: ({ body, caller }) => {
      checkSender(caller, body.admission.from);
      const { guest, from } = body.admission;
      if (from === config.name) throw godwitError('GODWIT_SAME_HOST', { guest, host: from });
      descriptions.take(from);
      standbys.keep(body, answers.placeKey(body.admission));
      sourceWatch.heard(from);
      return { ok: true } as const;
    },
    confirmStandbys: async ({ body, caller, signal }) => {
      const { name: from } = caller;
      heartbeats.take(from);
      const unknown = standbys.confirm(from, body);
      sourceWatch.heard(from);
      // The reporting host acts on this answer, so the report must be on the disk first.
      await withDeadline(`to write confirmations of ${from}`, SETTLED_MS, signal, () =>
        standbys.settled(from),
      );
      return { unknown };
    },
    standbys: () => ({ standbys: standbys.list().map((view) => publicStandby(recovery, view)) }),
    putRecovery: async ({ params: { id }, query, body, caller }) => {
      const order = orderFor(query, caller);
      await orders.under(order, id, () => begin(deps, id, body));
      log.warn({ id, ...body, by: caller.name }, 'guest of a dead host will be started here');
      return { id, started: true };
    },
  };
}

function publicStandby({ standbys }: Recovery, view: KeptView): Standby {
  const { standby, disks, confirmedAt } = view;
  const { freshness, number } = standbys.stateOf(view);
  return {
    ...standby,
    disks,
    number,
    ...defined({ confirmedAt }),
    ...(freshness.kind === 'stale' ? { stale: freshness.reason } : {}),
  };
}

type RecoveryConfirmation = NonNullable<DestinationMoverRequest['recovery']>['confirmed'];

/**
 * GODWIT_STANDBY_STALE if the description may be out of date, unless an operator names the number that was shown.
 * Returns the confirmation that the mover judges again after the host is proved off; undefined: the operator insisted.
 */
function refuseStale(
  { config, clock, recovery: { standbys } }: RecoveryHandlerDependencies,
  view: KeptView,
  { off, insist }: Pick<RecoveryRequest, 'off' | 'insist'>,
): RecoveryConfirmation {
  const { standby, disks, confirmedAt, confirmedAtMs } = view;
  const { guest, from } = standby;
  const { freshness, number } = standbys.stateOf(view, off);
  if (insist === number) return undefined;
  if (freshness.kind === 'fresh')
    return { at: freshness.confirmed, number, disks, images: [...(view.images ?? [])] };
  const { reason } = freshness;
  const age =
    confirmedAtMs === undefined
      ? (confirmedAt ?? 'never')
      : `${formatDuration(clock.monotonicMs() - confirmedAtMs)} ago`;
  const facts = { host: config.name, guest, from, reason, age, disks, number };
  throw godwitError('GODWIT_STANDBY_STALE', facts);
}

/** May be repeated; a migration that has begun under this id is not begun again. */
async function begin(
  deps: RecoveryHandlerDependencies,
  id: string,
  asked: RecoveryRequest,
): Promise<void> {
  const { store, supervisor, recovery, incoming } = deps;
  const { guest, from, off } = asked;
  const known = store.get(id);
  if (known !== undefined) {
    const { request } = known;
    const isSame = request.side === 'destination' && request.recovery !== undefined;
    if (isSame && request.fromHost === from && request.admission.guest === guest) return;
    throw godwitError('GODWIT_ID_REUSED', { id });
  }
  const { kept, view } = recovery.standbys.need(from, guest);
  const confirmed = refuseStale(deps, view, asked);
  const { admission, preparation, placeKey } = kept;
  const heardAt = view.confirmedAt ?? kept.keptAt;
  // The host that reported the guest later shows the migration that brought it there, even if its clock is behind.
  const keptAt = recovery.standbys.stateOf(view).isDisputed ? earlier(heardAt) : heardAt;
  const migration = await incoming.recover(
    { ...admission, id },
    {
      preparation,
      off,
      keptAt,
      confirmed,
    },
  );
  // Places of this host keep the names under which they were proved while the source lived.
  writeFileSync(path.join(migration.dir, 'places.key'), Buffer.from(placeKey, 'hex'), {
    mode: 0o600,
    flush: true,
  });
  syncDirectory(migration.dir);
  try {
    await supervisor.ensure(migration);
  } catch (thrown) {
    if (!store.begun(id)) store.drop(id);
    throw thrown;
  }
}

const earlier = (at: string): string => new Date(Date.parse(at) - MAX_SKEW_MS).toISOString();
