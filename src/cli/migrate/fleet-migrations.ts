import { godwitError } from '../../errors.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import { newestOnce } from '../../protocol/public/newest-once.ts';
import type { MigrationSummary } from '../../protocol/public/migration.ts';
import {
  askAll,
  howToReach,
  incomplete,
  reachHost,
  type AgentSet,
  type Endpoint,
  type HostAnswers,
} from '../connection/agent-set.ts';

export interface FoundMigration {
  readonly summary: MigrationSummary;
  readonly endpoint: Endpoint;
}

/** Migrations of all hosts, newest first, each once, from its source if that answers. */
export async function listMigrations(
  fleet: AgentSet,
  limit: number,
): Promise<HostAnswers<MigrationSummary>> {
  const { items, missing } = await askAll(fleet, async ({ api }, scope) => {
    const answer = await api.migrations({ query: { scope, limit } });
    return { items: answer.migrations, missing: answer.missing ?? [] };
  });
  return { items: newestOnce(items, limit), missing };
}

/** More than a person scrolls through. */
const MAX_LISTED = 1000;

/** The newest matching migration of all hosts. GODWIT_INCOMPLETE if a silent host may have one. */
export async function newestMigration(
  fleet: AgentSet,
  wanted: (summary: MigrationSummary) => boolean = () => true,
): Promise<MigrationSummary | undefined> {
  const { items, missing } = await listMigrations(fleet, MAX_LISTED);
  const found = items.find(wanted);
  const lacks = incomplete('the search for the newest migration', missing);
  if (found === undefined && lacks !== undefined) throw lacks;
  return found;
}

/**
 * The migration `id` and an agent of one of its hosts, preferably the source's. GODWIT_MIGRATION_UNKNOWN with the
 * nearest id; GODWIT_INCOMPLETE if a silent host may have had a part in it.
 */
export async function findMigration(fleet: AgentSet, id: string): Promise<FoundMigration> {
  const source = await fleet.directory?.source(id);
  const asked = await Promise.allSettled(
    (source === undefined ? fleet.endpoints : [source]).map(
      async (endpoint): Promise<FoundMigration> => {
        return { summary: await endpoint.api.migration({ params: { id } }), endpoint };
      },
    ),
  );
  const known = asked.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
  const best = known.find(({ summary }) => summary.side === 'source') ?? known[0];
  if (best !== undefined) return (await atSource(fleet, best)) ?? best;
  const { items, missing } = await listMigrations(fleet, MAX_LISTED);
  const found = items.find((each) => each.id === id);
  if (found !== undefined) return elsewhere(fleet, found);
  const near = didYouMean(
    id,
    items.map((each) => each.id),
  );
  const [only, ...others] = fleet.endpoints;
  const host =
    others.length === 0
      ? `${only.label} and its peers`
      : fleet.endpoints.map(({ label }) => label).join(', ');
  const hint = near === undefined ? {} : { hint: `${near} \`godwit migrations\` lists all.` };
  throw (
    incomplete(`the search for ${id.slice(0, 80)}`, missing) ??
    godwitError('GODWIT_MIGRATION_UNKNOWN', { id: id.slice(0, 80), host }, hint)
  );
}

/** The destination's agent has less data and cannot cancel, so the source's is preferred. */
async function atSource(
  fleet: AgentSet,
  { summary: { id, side, from } }: FoundMigration,
): Promise<FoundMigration | undefined> {
  if (side === 'source') return undefined;
  try {
    const endpoint = await reachHost(fleet, from);
    if (endpoint === undefined) return undefined;
    return { summary: await endpoint.api.migration({ params: { id } }), endpoint };
  } catch {
    return undefined;
  }
}

async function elsewhere(fleet: AgentSet, summary: MigrationSummary): Promise<FoundMigration> {
  const { id, from, to, side } = summary;
  const where = side === 'source' ? from : to;
  const [only] = fleet.endpoints;
  const endpoint =
    fleet.endpoints.find(({ label }) => label === where) ?? (await reachHost(fleet, where));
  if (endpoint !== undefined) return { summary, endpoint };
  throw godwitError(
    'GODWIT_MIGRATION_UNKNOWN',
    { id, host: only.label },
    { hint: `It is one of ${from} and ${to}: ${howToReach(where)}` },
  );
}
