import type { Clock } from '../../clock.ts';
import { toGodwitError } from '../../errors.ts';
import type { agentContract } from '../../protocol/contract.ts';
import type { MigrationNews } from '../../protocol/controller/history.ts';
import { isEnd } from '../../protocol/public/migration.ts';
import type { Progress } from '../../protocol/public/migration.ts';
import type { Api } from '../../rpc/client.ts';
import type { AgentClients } from '../engine/agent-clients.ts';
import type { Migrations } from '../store/migrations.ts';
import { needMigration } from './need.ts';
import { toldRow } from './record.ts';

export interface RelayParts {
  readonly clock: Clock;
  readonly agents: AgentClients;
  readonly migrations: Migrations;
}

const ANSWER_MS = 5000;
/** After its host fell silent, and between looks for its end in the database. */
const AGAIN_MS = 1000;
/**
 * Of one host's streams, for viewers: an agent grants a controller 8, and the inventory and a roll need theirs.
 */
const MOST_OF_A_HOST = 3;
/** Between two reports so far. */
const REPORT_MS = 1000;

type Unsigned = MigrationNews extends infer N ? (N extends unknown ? Omit<N, 'id'> : never) : never;

/**
 * What happens in a migration until it ends: its source's agent is followed, over the times in which that is silent. Who
 * comes back is told where it stands now, so an id is only a count.
 */
export async function* relayed(
  parts: RelayParts,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<MigrationNews> {
  let count = 0;
  for await (const news of newsOf(parts, id, signal)) {
    count += 1;
    yield { ...news, id: `${id}-${count}` };
  }
}

async function* newsOf(
  parts: RelayParts,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<Unsigned> {
  const viewers = viewersOf(parts.agents);
  let silent = '';
  while (!signal.aborted) {
    const { row } = await needMigration(parts.migrations, id);
    if (row.ended_at !== null) {
      yield { type: 'ended', migration: toldRow(row, row) };
      return;
    }
    const host = row.told_by;
    const api = parts.agents.at(host);
    let words = `${host} is no host of the fleet any more`;
    try {
      if (api !== undefined && (viewers.get(host) ?? 0) >= MOST_OF_A_HOST) {
        words = `${MOST_OF_A_HOST} others follow migrations of ${host}; this one begins when one of them ends`;
      } else if (api !== undefined) {
        yield* counted(viewers, host, followed(parts, api, id, signal));
        words = '';
      }
    } catch (thrown) {
      words = toGodwitError(thrown).message.slice(0, 1000);
    }
    if (signal.aborted) return;
    if (words !== '' && words !== silent) yield { type: 'silent', words };
    silent = words;
    // What it ended with is written down soon after.
    await parts.clock.sleep(AGAIN_MS, signal).catch(() => {});
  }
}

/** Streams that each host has open for viewers, by what leads to the hosts: an agent counts them all as this controller's. */
const open = new WeakMap<AgentClients, Map<string, number>>();

function viewersOf(agents: AgentClients): Map<string, number> {
  const found = open.get(agents) ?? new Map<string, number>();
  open.set(agents, found);
  return found;
}

async function* counted<T>(
  viewers: Map<string, number>,
  host: string,
  items: AsyncIterable<T>,
): AsyncGenerator<T> {
  viewers.set(host, (viewers.get(host) ?? 0) + 1);
  try {
    yield* items;
  } finally {
    const left = (viewers.get(host) ?? 1) - 1;
    if (left > 0) viewers.set(host, left);
    else viewers.delete(host);
  }
}

/** Until it ends, or its agent tells no more. */
async function* followed(
  { clock }: RelayParts,
  api: Api<typeof agentContract>,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<Unsigned> {
  const asked = { params: { id } };
  const options = { signal, deadlineMs: ANSWER_MS };
  let [mark, reportedMs] = ['', -Infinity];
  for await (const progress of api.events(asked, options)) {
    yield { type: 'progress', progress };
    const isOver = isEnd(progress.phase);
    const next = markOf(progress);
    const nowMs = clock.monotonicMs();
    if (!isOver && (next === mark || nowMs - reportedMs < REPORT_MS)) continue;
    [mark, reportedMs] = [next, nowMs];
    yield { type: 'report', report: await api.report(asked, options) };
    if (isOver) return;
  }
}

/** Something of which its report has more to say. */
const markOf = ({ phase, sample, note }: Progress): string =>
  `${phase} ${sample?.round ?? 0} ${note ?? ''}`;
