import { hasCode, toGodwitError } from '../../errors.ts';
import { insightOf, reportedOf, type ReportedMigration } from '../../migration/insight/insight.ts';
import type { Insight } from '../../protocol/controller/history.ts';
import { isEnd, type MigrationSummary, type Report } from '../../protocol/public/migration.ts';
import type { SilentHost } from '../../protocol/public/resolve.ts';
import { askAny, howToReach, type AgentSet, type Endpoint } from '../connection/agent-set.ts';
import { listMigrations } from '../migrate/fleet-migrations.ts';

/** An agent's largest list. */
const MAX_LISTED = 1000;
/** Reports to read, newest first; a controller keeps figures of more. */
const MAX_READ = 500;
const AT_ONCE = 8;
/** The host has no part in it, or cannot read it any more. */
const NOT_KEPT = ['GODWIT_MIGRATION_UNKNOWN', 'GODWIT_JOURNAL_DAMAGED'] as const;

export interface AgentsInsight {
  readonly insight: Insight;
  readonly missing: readonly SilentHost[];
}

interface Time {
  readonly sinceMs: number;
  readonly untilMs: number;
}

/** Insight over migrations that ended in that time, from their hosts' reports, without a controller. */
export async function insightOfAgents(fleet: AgentSet, time: Time): Promise<AgentsInsight> {
  const { items, missing } = await listMigrations(fleet, MAX_LISTED);
  const ended = items.filter((each) => isEnd(each.phase) && endedAtMs(each) >= time.sinceMs);
  const reports = new Reports(fleet);
  const read = ended.slice(0, MAX_READ);
  const reported: ReportedMigration[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let at = next++; at < read.length; at = next++) {
      const summary = read[at];
      if (summary !== undefined) reported[at] = reportedOf(summary, await reports.of(summary));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  const silent = new Set(missing.map(({ host }) => host));
  const unread = [...reports.missing].filter(([host]) => !silent.has(host));
  return {
    insight: insightOf(reported, { ...time, isPart: ended.length > read.length }),
    missing: [...missing, ...unread.map(([host, why]) => ({ host, why }))],
  };
}

function endedAtMs({ startedAt, elapsedMs }: MigrationSummary): number {
  return Date.parse(startedAt) + elapsedMs;
}

/** Reports of migrations, from the source's agent if it answers. */
class Reports {
  readonly missing = new Map<string, string>();
  readonly #fleet: AgentSet;
  readonly #silent = new Set<string>();
  readonly #reached = new Map<string, Endpoint>();
  #addresses: Promise<ReadonlyMap<string, string>> | undefined;

  constructor(fleet: AgentSet) {
    this.#fleet = fleet;
  }

  async of({ id, from, to }: MigrationSummary): Promise<Report | undefined> {
    const [only, ...others] = this.#fleet.endpoints;
    const first = others.length === 0 ? await this.#ask(only, id, only.label) : undefined;
    return first ?? (await this.#at(from, id)) ?? this.#at(to, id);
  }

  async #at(host: string, id: string): Promise<Report | undefined> {
    try {
      const endpoint = await this.#endpoint(host);
      if (endpoint !== undefined) return await this.#ask(endpoint, id, host);
      this.missing.set(host, `its reports are not read: ${howToReach(host)}`);
    } catch (thrown) {
      this.missing.set(host, toGodwitError(thrown).message);
    }
    return undefined;
  }

  async #ask({ api }: Endpoint, id: string, host: string): Promise<Report | undefined> {
    if (this.#silent.has(host)) return undefined;
    try {
      return await api.report({ params: { id } });
    } catch (thrown) {
      // A silent host is asked only once.
      if (hasCode(thrown, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) this.#silent.add(host);
      if (!hasCode(thrown, ...NOT_KEPT)) this.missing.set(host, toGodwitError(thrown).message);
      return undefined;
    }
  }

  async #endpoint(host: string): Promise<Endpoint | undefined> {
    const fleet = this.#fleet;
    const known = fleet.endpoints.find(({ label }) => label === host);
    if (known !== undefined || fleet.reach === undefined) return known;
    this.#addresses ??= addressesOf(fleet);
    const address = (await this.#addresses).get(host);
    if (address === undefined) return undefined;
    const reached = this.#reached.get(host) ?? fleet.reach(host, address);
    this.#reached.set(host, reached);
    return reached;
  }
}

async function addressesOf(fleet: AgentSet): Promise<ReadonlyMap<string, string>> {
  const { hosts } = await askAny(fleet, ({ api }) => api.hosts());
  return new Map(hosts.map(({ name, address }) => [name, address]));
}
