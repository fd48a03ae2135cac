import { godwitError, hasCode } from '../errors.ts';
import type { agentContract } from '../protocol/contract.ts';
import type { GuestInfo } from '../protocol/public/host.ts';
import type { MigrationSummary } from '../protocol/public/migration.ts';
import { guestName } from '../protocol/names.ts';
import { everyPage } from '../protocol/public/page.ts';
import { didYouMean } from '../protocol/nearest.ts';
import type { Api } from '../rpc/client.ts';

/** The calls of an agent. */
export type AgentApi = Api<typeof agentContract>;

export interface Endpoint {
  /** For messages: a host's name, or the address that was given. */
  readonly label: string;
  readonly api: AgentApi;
}

/** The agents that this command line may speak to. */
export interface AgentSet {
  readonly endpoints: readonly [Endpoint, ...Endpoint[]];
  /** Another host's agent, where we have a certificate to speak to it with. */
  reach?(host: string, address: string): Endpoint;
  close(): void;
}

/** The answer of the first agent that answers; the last one's error when none does. */
export async function askAny<T>(
  fleet: AgentSet,
  ask: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  let last: unknown;
  for (const endpoint of fleet.endpoints) {
    try {
      return await ask(endpoint);
    } catch (error) {
      // Only silence sends us on: an agent that refuses has answered.
      if (!hasCode(error, 'GODWIT_UNREACHABLE', 'GODWIT_DEADLINE')) throw error;
      last = error;
    }
  }
  throw last;
}

export interface FoundGuest {
  readonly guest: GuestInfo;
  readonly endpoint: Endpoint;
  /** Whether that is the agent of the guest's own host, which alone can move it. */
  readonly home: boolean;
}

/**
 * A guest, and the agent to ask about it. Each agent is asked about its own host first, all at once,
 * so that a peer which does not answer delays nothing. Throws GODWIT_GUEST_UNKNOWN with the nearest name.
 */
export async function findGuest(fleet: AgentSet, name: string): Promise<FoundGuest> {
  if (guestName.safeParse(name).success) {
    const input = { params: { guest: name } };
    const asked = await Promise.allSettled(
      fleet.endpoints.map(async (endpoint): Promise<FoundGuest> => {
        return { guest: await endpoint.api.guest(input), endpoint, home: true };
      }),
    );
    const found = asked.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
    // A guest on its way is seen on both hosts: the source's is the one to speak of.
    const best = found.find(({ guest }) => guest.state !== 'incoming') ?? found[0];
    if (best !== undefined) return best;
  }
  const { guests, endpoint } = await askAny(fleet, async (asked) => {
    return { guests: await allGuests(asked), endpoint: asked };
  });
  const elsewhere = guests.filter((each) => each.name === name);
  const guest = elsewhere.find((each) => each.state !== 'incoming') ?? elsewhere[0];
  if (guest === undefined) throw unknownGuest(name, guests, fleet);
  return { guest, endpoint, home: false };
}

/** The guests of an agent's host and of its peers, page after page. */
export function allGuests({ api }: Endpoint, fresh = false): Promise<GuestInfo[]> {
  return everyPage(async (after) => {
    const query = { scope: 'all', cursor: after, fresh: fresh ? 'true' : undefined } as const;
    const { guests: items, next } = await api.guests({ query });
    return next === undefined ? { items } : { items, next };
  });
}

function unknownGuest(name: string, guests: readonly GuestInfo[], fleet: AgentSet): Error {
  const near = didYouMean(
    name,
    guests.map((each) => each.name),
  );
  const [only] = fleet.endpoints;
  const host = fleet.endpoints.length === 1 ? `${only.label} and its peers` : 'any host';
  const hint = near === undefined ? {} : { hint: `${near} \`godwit guests\` lists all.` };
  return godwitError('GODWIT_GUEST_UNKNOWN', { guest: name.slice(0, 80), host }, hint);
}

/** A migration and the agent to ask about it. */
export interface FoundMigration {
  readonly summary: MigrationSummary;
  readonly endpoint: Endpoint;
}

/** Migrations of every agent, newest first, each once: as its source tells it, where we reach that. */
export async function listMigrations(fleet: AgentSet, limit: number): Promise<FoundMigration[]> {
  const lists = await Promise.allSettled(
    fleet.endpoints.map(async (endpoint): Promise<FoundMigration[]> => {
      const { migrations } = await endpoint.api.migrations({ query: { limit } });
      return migrations.map((summary) => ({ summary, endpoint }));
    }),
  );
  const answered = lists.filter((list) => list.status === 'fulfilled');
  const failed = lists.find((list) => list.status === 'rejected');
  if (answered.length === 0 && failed !== undefined) throw failed.reason;
  const byId = new Map<string, FoundMigration>();
  for (const found of answered.flatMap((list) => list.value)) {
    const known = byId.get(found.summary.id);
    if (known === undefined || found.summary.side === 'source') byId.set(found.summary.id, found);
  }
  return [...byId.values()]
    .toSorted((left, right) => compare(right.summary.startedAt, left.summary.startedAt))
    .slice(0, limit);
}

/** The migration `id`. Throws GODWIT_MIGRATION_UNKNOWN with the nearest id. */
export async function findMigration(fleet: AgentSet, id: string): Promise<FoundMigration> {
  const asked = await Promise.allSettled(
    fleet.endpoints.map(async (endpoint): Promise<FoundMigration> => {
      return { summary: await endpoint.api.migration({ params: { id } }), endpoint };
    }),
  );
  const known = asked.filter((each) => each.status === 'fulfilled').map(({ value }) => value);
  const best = known.find(({ summary }) => summary.side === 'source') ?? known[0];
  if (best !== undefined) return best;
  // Nobody has it, or agents of an earlier build do, which are asked for all of them.
  const all = await listMigrations(fleet, 1000);
  const found = all.find((each) => each.summary.id === id);
  if (found !== undefined) return found;
  const near = didYouMean(
    id,
    all.map((each) => each.summary.id),
  );
  const host = fleet.endpoints.map((each) => each.label).join(', ');
  const hint = near === undefined ? {} : { hint: `${near} \`godwit migrations\` lists all.` };
  throw godwitError('GODWIT_MIGRATION_UNKNOWN', { id: id.slice(0, 80), host }, hint);
}

function compare(left: string, right: string): number {
  return left < right ? -1 : Number(left > right);
}

/** The agent of another host, as the agents that we speak to know it; undefined when we cannot speak to it. */
export async function reachHost(fleet: AgentSet, host: string): Promise<Endpoint | undefined> {
  if (fleet.reach === undefined) return undefined;
  const { hosts } = await askAny(fleet, ({ api }) => api.hosts());
  const address = hosts.find((each) => each.name === host)?.address;
  return address === undefined ? undefined : fleet.reach(host, address);
}
