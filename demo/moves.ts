import type { Context } from '../src/cli/context.ts';
import { finalReport } from '../src/cli/migrate/ending.ts';
import type { Endpoint, AgentSet } from '../src/cli/connection/agent-set.ts';
import { follow } from '../src/cli/migrate/follow.ts';
import { toGodwitError, type SerialError } from '../src/errors.ts';
import { readGuestStats, verifyGuest, type GuestStats } from '../lab/guest/talk.ts';
import { labCensus } from '../lab/witness/census.ts';
import { containerLeftovers } from '../lab/witness/containers.ts';
import {
  migrationRequest,
  type Report,
  type StreamMode,
} from '../src/protocol/public/migration.ts';
import { leftovers, withoutContainers } from './leftovers.ts';
import { judgeMove, type Evidence, type GuestWord, type MoveResult } from './outcome.ts';
import { GUEST, hostsOf, type Stage } from './stage.ts';

/** What each mode is asked for with. Hybrid: one round, then post-copy, unless that one was enough. */
const SETTINGS: Record<StreamMode, object> = {
  precopy: {},
  postcopy: {},
  hybrid: { hybridRounds: 1, maxDowntimeMs: 5 },
};
const MOVE_TIMEOUT_MS = 120_000;
/** After a move the agents' and movers' last work may take a moment. */
const SETTLE_MS = 10_000;
const SETTLE_STEP_MS = 100;
/** The guest is moved while it dirties memory: at least this much of a second's worth first. */
const WARM_UP_SHARE = 0.5;

export interface Move {
  readonly mode: StreamMode;
  readonly from: string;
  readonly to: string;
}

/** Asks the guest for its checksums and counters. */
export async function askGuest({ lab }: Stage, signal: AbortSignal): Promise<GuestWord> {
  const memory = await verifyGuest(lab, GUEST, { signal });
  return { memory, stats: await readGuestStats(lab, GUEST, { signal }) };
}

/**
 * Moves the guest as a user would, and looks at it from all sides; what goes wrong is in the result.
 * Rejects only when `signal` aborts. `before` is the guest's word from before; its new one is returned.
 */
export async function moveAndLook(
  stage: Stage,
  fleet: AgentSet,
  context: Context,
  { move, before, signal }: { move: Move; before: GuestWord; signal: AbortSignal },
): Promise<{ result: MoveResult; word: GuestWord | undefined }> {
  const errors: SerialError[] = [];
  const attempt = async <T>(work: Promise<T>): Promise<T | undefined> => {
    try {
      return await work;
    } catch (error) {
      signal.throwIfAborted();
      errors.push(toGodwitError(error).toJSON());
      return undefined;
    }
  };
  const from = await attempt(statsOnceDirty(stage, before.stats, context, signal));
  await stage.client.mark();
  const report = await attempt(migrate(fleet, context, move, signal));
  const client =
    (await attempt(stage.client.settle(SETTLE_MS, signal))) ?? (await attempt(stage.client.read()));
  const to = await attempt(readGuestStats(stage.lab, GUEST, { signal }));
  const after = await attempt(askGuest(stage, signal));
  const evidence: Evidence = {
    ...move,
    report,
    before,
    after,
    dirtying: from === undefined || to === undefined ? undefined : { from, to },
    client,
    runningOn: await hostsOf(stage),
    errors,
  };
  return { result: judgeMove(evidence), word: after };
}

async function migrate(
  fleet: AgentSet,
  context: Context,
  { mode, from, to }: Move,
  signal: AbortSignal,
): Promise<Report> {
  const endpoint = endpointOf(fleet, from);
  const asked = { guest: GUEST, to, mode, timeoutMs: MOVE_TIMEOUT_MS, ...SETTINGS[mode] };
  const { id } = await endpoint.api.migrate({ body: migrationRequest.parse(asked) }, { signal });
  const last = await follow(context, { endpoint, id, show: 'people' });
  if ('left' in last) signal.throwIfAborted();
  return finalReport(context, endpoint, id);
}

function endpointOf(fleet: AgentSet, host: string): Endpoint {
  return fleet.endpoints.find(({ label }) => label === host) ?? fleet.endpoints[0];
}

/** Waits until the guest dirties memory again: checking its checksums makes it rest. */
async function statsOnceDirty(
  { lab, guest }: Stage,
  since: GuestStats,
  { clock }: Context,
  signal: AbortSignal,
): Promise<GuestStats> {
  const wanted = since.dirtiedBytes + guest.dirtyBytesPerSecond * WARM_UP_SHARE;
  const start = clock.monotonicMs();
  for (;;) {
    const stats = await readGuestStats(lab, GUEST, { signal });
    if (stats.dirtiedBytes >= wanted || clock.monotonicMs() - start > SETTLE_MS) return stats;
    await clock.sleep(SETTLE_STEP_MS, signal);
  }
}

/** What the moves left behind on the hosts, once everything that is about to end has ended. */
export async function findLeftovers(
  stage: Stage,
  { clock }: Context,
  signal: AbortSignal,
): Promise<string[]> {
  const start = clock.monotonicMs();
  for (;;) {
    const found = await (stage.isContainer ? leftByContainer(stage) : leftByMachine(stage));
    if (found.length === 0 || clock.monotonicMs() - start > SETTLE_MS) return found;
    await clock.sleep(SETTLE_STEP_MS, signal);
  }
}

async function leftByMachine(stage: Stage): Promise<string[]> {
  const [host] = await hostsOf(stage);
  return leftovers(stage.bare, await labCensus(stage.lab), [{ name: GUEST, host }]);
}

/** Its own files are on the host where it is; on the other one nothing is. */
async function leftByContainer(stage: Stage): Promise<string[]> {
  const { lab, bare } = stage;
  const homes = await hostsOf(stage);
  const others = lab.hosts.filter((host) => !homes.includes(host));
  const left = await Promise.all(
    others.map(async (host) =>
      (await containerLeftovers(lab, host)).map((line) => `host ${host}: ${line}`),
    ),
  );
  const now = (await labCensus(lab)).map(withoutContainers);
  return [...leftovers(bare.map(withoutContainers), now, []), ...left.flat()];
}
