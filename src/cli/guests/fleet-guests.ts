import { godwitError, hasCode } from '../../errors.ts';
import { guestName } from '../../protocol/names.ts';
import { didYouMean } from '../../protocol/nearest.ts';
import type { GuestInfo } from '../../protocol/public/hosts/host.ts';
import { eachOnce, mergeReports } from '../../protocol/public/moving.ts';
import { everyPage } from '../../protocol/public/page.ts';
import type { SilentHost } from '../../protocol/public/resolve.ts';
import {
  askAll,
  incomplete,
  type AgentSet,
  type Directory,
  type Endpoint,
  type HostAnswers,
} from '../connection/agent-set.ts';

/** A moving guest is listed once. */
export function allGuests(fleet: AgentSet, fresh = false): Promise<HostAnswers<GuestInfo>> {
  return reported(askAll(fleet, (endpoint, scope) => guestsOf(endpoint, scope, { fresh })));
}

async function reported(asked: Promise<HostAnswers<GuestInfo>>): Promise<HostAnswers<GuestInfo>> {
  const { items, missing } = await asked;
  return { items: eachOnce(items), missing };
}

/** Guests of an agent's host, or of its peers too, page after page. */
async function guestsOf(
  { api }: Endpoint,
  scope: 'local' | 'all',
  { fresh = false, name }: { fresh?: boolean; name?: string },
): Promise<HostAnswers<GuestInfo>> {
  const missing = new Map<string, SilentHost>();
  const items = await everyPage(async (after) => {
    const query = { scope, cursor: after, fresh: fresh ? 'true' : undefined, name } as const;
    const page = await api.guests({ query });
    for (const each of page.missing ?? []) missing.set(`${each.host} ${each.why}`, each);
    return page.next === undefined
      ? { items: page.guests }
      : { items: page.guests, next: page.next };
  });
  return { items, missing: [...missing.values()] };
}

export interface FoundGuest {
  readonly guest: GuestInfo;
  /** The agent of the guest's host, the only one that can move it; undefined if it is not available. */
  readonly home: Endpoint | undefined;
  /** Other hosts with a different guest of that name, not the other end of its migration. */
  readonly namesakesAt: readonly string[];
  readonly missing: readonly SilentHost[];
}

/**
 * A guest of any host. Each agent is also asked about its own host, to find the one that can move the guest.
 * GODWIT_GUEST_UNKNOWN with the nearest name; GODWIT_INCOMPLETE if a host without an answer may have it.
 */
export async function findGuest(fleet: AgentSet, name: string): Promise<FoundGuest> {
  if (!guestName.safeParse(name).success) throw unknownGuest(name, await allGuests(fleet), fleet);
  if (fleet.directory === undefined) return amongAgents(fleet, name);
  const named = await atController(fleet.directory, name);
  if (named !== undefined) return named;
  const found = await amongAgents(fleet, name);
  return { ...found, home: found.home ?? fleet.reach?.(found.guest.host, '') };
}

async function amongAgents(fleet: AgentSet, name: string): Promise<FoundGuest> {
  const homes = new Map<GuestInfo, Endpoint>();
  const asked = await Promise.allSettled([
    askAll(fleet, (endpoint, scope) => guestsOf(endpoint, scope, { name })),
    ...fleet.endpoints.map(async (endpoint) => {
      homes.set(await endpoint.api.guest({ params: { guest: name } }), endpoint);
    }),
  ] as const);
  const [all] = asked;
  const others = all.status === 'fulfilled' ? all.value.items : [];
  const missing = all.status === 'fulfilled' ? all.value.missing : [];
  const own = [...homes.keys()];
  const hosts = new Set(own.map(({ host }) => host));
  const reports = [...own, ...others.filter((each) => each.name === name && !hosts.has(each.host))];
  const rows = eachOnce(reports);
  // An older report may be a second copy: listed as one guest, but no action is allowed.
  const older = mergeReports(reports).flatMap((each) => each.others);
  const isCopy = (each: GuestInfo): boolean =>
    each.state === 'incoming' || rows.some((other) => wasBuiltFor(other, each));
  const guest = rows.find((each) => !isCopy(each)) ?? rows[0];
  if (guest !== undefined) {
    const home = [...homes].find(([each]) => each.host === guest.host)?.[1];
    return { guest, home, namesakesAt: namesakesAt(guest, [...rows, ...older]), missing };
  }
  if (all.status === 'rejected') throw all.reason;
  throw (
    incomplete(`the search for ${name}`, missing) ??
    unknownGuest(name, await allGuests(fleet), fleet)
  );
}

/**
 * The guest as its host reports it; the controller names the host. Undefined if the host no longer has the guest,
 * because controllers learn of a move slightly later.
 */
async function atController(directory: Directory, name: string): Promise<FoundGuest | undefined> {
  const [home, ...namesakes] = await directory.homes(name);
  if (home === undefined) {
    const facts = { guest: name.slice(0, 80), host: 'any host of the controller' };
    throw godwitError('GODWIT_GUEST_UNKNOWN', facts, { hint: '`godwit guests` lists all.' });
  }
  try {
    const guest = await home.api.guest({ params: { guest: name } });
    return { guest, home, namesakesAt: namesakes.map(({ label }) => label), missing: [] };
  } catch (thrown) {
    if (hasCode(thrown, 'GODWIT_GUEST_UNKNOWN')) return undefined;
    throw thrown;
  }
}

/** Excludes waiting copies and the other end of a migration, even if a build reports no `moving`. */
function namesakesAt(guest: GuestInfo, rows: readonly GuestInfo[]): string[] {
  return rows
    .filter((each) => each !== guest && each.state !== 'incoming')
    .filter(({ migration }) => migration === undefined || migration !== guest.migration)
    .filter((each) => !wasBuiltFor(guest, each))
    .map(({ host }) => host);
}

/** Tells whether it is a leftover copy of a guest that stayed, at a host that has not learned the migration's end. */
function wasBuiltFor(guest: GuestInfo, { host, moving }: GuestInfo): boolean {
  if (moving === undefined || guest.state !== 'running') return false;
  return moving.from === guest.host && moving.to === host && moving.runsAt !== 'destination';
}

function unknownGuest(
  name: string,
  { items, missing }: HostAnswers<GuestInfo>,
  { endpoints }: AgentSet,
): Error {
  const near = didYouMean(
    name,
    items.map((each) => each.name),
  );
  const host = endpoints.length === 1 ? `${endpoints[0].label} and its peers` : 'any host';
  const hint = near === undefined ? {} : { hint: `${near} \`godwit guests\` lists all.` };
  const facts = { guest: name.slice(0, 80), host };
  return (
    incomplete(`the search for ${facts.guest}`, missing) ??
    godwitError('GODWIT_GUEST_UNKNOWN', facts, hint)
  );
}
